"""The interface of VIP placements."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lvsctl.director.vips.plan import Addresses
from lvsctl.host.interface import HostChange
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason


class PlacementState(enum.StrEnum):
    """The state of a VIP on this director."""

    PLACED = "placed"
    """On this director, or managed by another program."""
    PENDING = "pending"
    """Wanted, but not placed yet."""
    WITHDRAWING = "withdrawing"
    """No longer wanted, but still here."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The state of one VIP.

    Attributes:
        state: Where it is.
        reason: Why it is not as desired, with the cure; None if it is.
        passing: The reason will vanish within seconds, so it is not reported as a problem.
    """

    state: PlacementState
    reason: Reason | None = None
    passing: bool = False

    @property
    def is_placed(self) -> bool:
        """Whether clients reach the VIP here, or where its manager placed it."""
        return self.state is PlacementState.PLACED


class VipPlacement(Protocol):
    """Places VIPs on this director; used in the reconciler's thread.

    Level-triggered: the caller states which VIPs are wanted and later gets the state of
    them. A placement may take seconds (keepalived answers within 0.3 to 3 s), so it is not
    complete when ``ensure`` returns.
    """

    def observe(self, vips: Collection[IPAddress], addresses: Addresses | None) -> None:
        """Update from this host's addresses; whatever is not in place is retried.

        Args:
            vips: The farm's VIPs.
            addresses: Of every device; None where they were not read and the last ones stand.
        """
        ...

    def planned(self, wanted: Collection[IPAddress]) -> Sequence[HostChange]:
        """Return what ``ensure`` would change on this host, in order, without writing."""
        ...

    def ensure(self, wanted: Collection[IPAddress], served: Collection[IPAddress]) -> None:
        """Work towards exactly the wanted VIPs; repeating the same sets changes nothing.

        Called before the table is written, to withdraw VIPs, and after it, to place them.

        Args:
            wanted: Every VIP that should be here.
            served: VIPs with a virtual service. One without would expose this host's own
                listeners, so it is not placed; one that is here already stays.

        Raises:
            StoreError: A claim could not be made durable; the VIP was not placed.
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
        """Return why clients cannot reach VIPs that are here."""
        ...

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Take over VIPs that are here exactly as they would have been placed."""
        ...

    def hand_over(self) -> None:
        """Hand the VIPs over to another placement; they stay, and are not removed later."""
        ...
