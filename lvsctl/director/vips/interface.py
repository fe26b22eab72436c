"""How VIPs get onto this director, whoever puts them there."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lvsctl.director.vips.plan import Addresses
from lvsctl.host.interface import HostChange
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason


class PlacementState(enum.StrEnum):
    """Where a VIP is, as far as this director is concerned."""

    PLACED = "placed"
    """On this director, or left to whoever else manages it."""
    PENDING = "pending"
    """Wanted, not here yet."""
    WITHDRAWING = "withdrawing"
    """No longer wanted, still here."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The state of one VIP.

    Attributes:
        state: Where it is.
        reason: Why it is not as it should be, with the cure; None where it is.
        passing: The reason goes by itself within seconds, so that it is no problem to report.
    """

    state: PlacementState
    reason: Reason | None = None
    passing: bool = False

    @property
    def is_placed(self) -> bool:
        """Whether clients reach the VIP here, or wherever its manager puts it."""
        return self.state is PlacementState.PLACED


class VipPlacement(Protocol):
    """Keeps VIPs on this director; belongs to the reconciler's thread.

    Level-triggered: the caller states which VIPs are wanted and learns later what has become of
    them. A placement may take seconds (keepalived answers within 0.3 to 3 s), so none is taken for
    done because ``ensure`` has returned.
    """

    def observe(self, vips: Collection[IPAddress], addresses: Addresses | None) -> None:
        """Take note of what this host has; whatever is not in place is tried again.

        Args:
            vips: The farm's VIPs.
            addresses: Of every device; None where they were not read and the last ones stand.
        """
        ...

    def planned(self, wanted: Collection[IPAddress]) -> Sequence[HostChange]:
        """Return what ``ensure`` would change on this host, in order, writing nothing."""
        ...

    def ensure(self, wanted: Collection[IPAddress], served: Collection[IPAddress]) -> None:
        """Work towards exactly the wanted VIPs; the same sets again change nothing.

        Called before the table is written, for what has to go, and after it, for what may come.

        Args:
            wanted: Every VIP that should be here.
            served: VIPs with a virtual service. One without would expose this host's own
                listeners, so it is not placed; one that is here already stays.

        Raises:
            StoreError: What is to be placed could not be made durable; it was not placed.
        """
        ...

    def holds(self) -> Mapping[IPAddress, Placement]:
        """Return the state of each VIP that is wanted or still here."""
        ...

    def withdrawn(self, vip: IPAddress) -> bool:
        """Tell whether the last virtual service of an unwanted VIP may be deleted.

        Until then clients that still reach the VIP would meet this host's own listeners.
        """
        ...

    def warnings(self) -> Sequence[Reason]:
        """Return what keeps clients from reaching VIPs that are here."""
        ...

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Take over VIPs that are here exactly as they would have been placed."""
        ...

    def hand_over(self) -> None:
        """Leave the VIPs where they are, to another placement; they are not removed later."""
        ...
