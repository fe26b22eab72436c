"""VIPs that keepalived or a routing daemon manages: nothing is added or removed."""

from collections.abc import Collection, Mapping, Sequence

from lvsctl.director.vips.interface import Placement, PlacementState
from lvsctl.director.vips.plan import Addresses, unfit
from lvsctl.host.interface import HostChange
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason


class ExternalVips:
    """Counts every VIP as placed, as another program manages them."""

    def __init__(self) -> None:
        self._addresses: Addresses = {}
        self._placed: Mapping[IPAddress, Placement] = {}

    def observe(self, vips: Collection[IPAddress], addresses: Addresses | None) -> None:
        """Note addresses that need a warning."""
        self._set(vips)
        if addresses is not None:
            self._addresses = addresses

    def planned(self, wanted: Collection[IPAddress]) -> Sequence[HostChange]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def ensure(
        self,
        wanted: Collection[IPAddress],
        served: Collection[IPAddress],  # noqa: ARG002
    ) -> None:
        """Note the VIPs."""
        self._set(wanted)

    def holds(self) -> Mapping[IPAddress, Placement]:
        """Return every VIP as placed."""
        return self._placed

    def withdrawn(self, vip: IPAddress) -> bool:  # noqa: ARG002
        """Return true: services may always be deleted, as lvsctl placed no VIP for them."""
        return True

    def warnings(self) -> Sequence[Reason]:
        """Return which IPv6 VIPs are on an unsuitable device."""
        return unfit(self._placed, self._addresses, ())

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Do nothing; they belong to another program."""

    def hand_over(self) -> None:
        """Do nothing; no VIP was placed."""

    def _set(self, vips: Collection[IPAddress]) -> None:
        if self._placed.keys() != set(vips):
            self._placed = dict.fromkeys(vips, Placement(PlacementState.PLACED))
