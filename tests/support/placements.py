"""A placement that takes its time, as keepalived does."""

from collections.abc import Collection, Mapping, Sequence

from lvsctl.director.vips.interface import Placement, PlacementState
from lvsctl.director.vips.plan import Addresses
from lvsctl.host.interface import HostChange
from lvsctl.net import IPAddress
from tests.support.reasons import because

ELECTING = because("the election is not over yet")


class SlowPlacement:
    """Nothing that ``ensure`` asks for has happened before ``settle`` is called."""

    def __init__(self) -> None:
        self.wanted: frozenset[IPAddress] = frozenset()
        self.served: frozenset[IPAddress] = frozenset()
        self.here: frozenset[IPAddress] = frozenset()

    def settle(self) -> None:
        """Place what is wanted and served, and withdraw the rest."""
        self.here = self.wanted & (self.served | self.here)

    def observe(self, vips: Collection[IPAddress], addresses: Addresses | None) -> None:
        """Nothing has to be read."""

    def planned(self, wanted: Collection[IPAddress]) -> Sequence[HostChange]:  # noqa: ARG002
        return ()

    def ensure(self, wanted: Collection[IPAddress], served: Collection[IPAddress]) -> None:
        self.wanted, self.served = frozenset(wanted), frozenset(served)

    def holds(self) -> Mapping[IPAddress, Placement]:
        return {
            **dict.fromkeys(self.wanted, Placement(PlacementState.PENDING, ELECTING)),
            **dict.fromkeys(self.here, Placement(PlacementState.WITHDRAWING)),
            **dict.fromkeys(self.wanted & self.here, Placement(PlacementState.PLACED)),
        }

    def withdrawn(self, vip: IPAddress) -> bool:
        return vip not in self.here

    def warnings(self) -> Sequence[str]:
        return ()

    def adopt(self, vips: Collection[IPAddress]) -> None:
        """Everything is placed in the same way."""

    def hand_over(self) -> None:
        self.here = frozenset()
