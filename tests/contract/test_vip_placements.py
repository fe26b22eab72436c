"""What every way to place VIPs does, on a host in memory."""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

import pytest

from lvsctl.director.vips.interface import Placement, PlacementState, VipPlacement
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.placements import open_placements
from lvsctl.farm.model import VipOwner
from lvsctl.host.interface import AddressConfig, AddressKey, HostChange
from lvsctl.host.memory import Hardware
from lvsctl.net import IPAddress
from lvsctl.store.memory import MemoryLocalState
from tests.support.hosts import RecordingHost

DIP = AddressKey("eth0", ip_interface("192.0.2.10/24"))
DIP6 = AddressKey("eth0", ip_interface("2001:db8:2::1/64"))
VIP, ROUTED = ip_address("198.51.100.10"), ip_address("2001:db8:51::10")
ON_LINK = ip_address("2001:db8:2::10")
VIPS = frozenset({VIP, ROUTED, ON_LINK})
PLACED = Placement(PlacementState.PLACED)


@dataclass
class Bench:
    """A placement and the host that it works on."""

    host: RecordingHost
    placement: VipPlacement

    def observe(self, vips: Collection[IPAddress] = VIPS) -> None:
        self.placement.observe(vips, self.host.addresses())

    def cycle(self, wanted: Collection[IPAddress], served: Collection[IPAddress] = VIPS) -> None:
        """Do what a cycle does that finds everything served."""
        self.observe(wanted)
        self.placement.ensure(wanted, served)
        self.placement.ensure(wanted, served)

    def addresses(self) -> frozenset[IPAddress]:
        return frozenset(key.address.ip for key in self.host.addresses())


@pytest.fixture(params=[VipOwner.MANAGE, VipOwner.EXTERNAL])
def bench(request: pytest.FixtureRequest) -> Bench:
    host = RecordingHost([Hardware("eth0")])
    host.apply([HostChange(key, AddressConfig()) for key in (DIP, DIP6)])
    placements = open_placements(host, NoNeighbours(), MemoryLocalState())
    host.applied.clear()
    return Bench(host, placements[request.param])


def test_every_wanted_vip_is_placed_in_the_end(bench: Bench) -> None:
    """Without a reason, and with nothing more to do."""
    bench.cycle(VIPS)

    bench.observe()
    assert dict.fromkeys(VIPS, PLACED) == bench.placement.holds()
    assert [] == [*bench.placement.planned(VIPS)]


@pytest.mark.parametrize("served", [VIPS, frozenset[IPAddress]()], ids=["served", "not served"])
def test_the_same_sets_again_change_and_read_nothing(
    bench: Bench, served: frozenset[IPAddress]
) -> None:
    """However they are written."""
    bench.placement.ensure(VIPS, served)
    bench.host.applied.clear()
    reads = bench.host.reads

    bench.placement.ensure([*VIPS], [*served])

    assert ([], reads) == (bench.host.applied, bench.host.reads)


def test_what_is_in_place_is_left_alone_when_it_is_observed_again(bench: Bench) -> None:
    """Another cycle writes nothing."""
    bench.cycle(VIPS)
    bench.host.applied.clear()

    bench.cycle(VIPS)

    assert [] == bench.host.applied


def test_a_vip_that_is_not_served_is_not_added(bench: Bench) -> None:
    """It would expose this host's own listeners."""
    before = bench.addresses()

    bench.cycle(VIPS, served=())

    assert before == bench.addresses()


def test_a_vip_that_is_no_longer_served_stays(bench: Bench) -> None:
    """Its service may be a conflict for a while; the VIP is still wanted."""
    bench.cycle(VIPS)
    before = bench.addresses()

    bench.cycle(VIPS, served=())

    assert before == bench.addresses()


def test_planning_writes_nothing(bench: Bench) -> None:
    """It is what a director that only observes shows."""
    bench.observe()
    bench.placement.planned(VIPS)
    assert [] == bench.host.applied


def test_an_unwanted_vip_is_withdrawn_in_the_end(bench: Bench) -> None:
    """Then its last service may be deleted."""
    bench.cycle(VIPS)

    bench.cycle(VIPS - {VIP})

    assert bench.placement.withdrawn(VIP)
    assert VIPS - {VIP} == bench.placement.holds().keys()


def test_an_address_that_somebody_else_added_is_used_and_stays(bench: Bench) -> None:
    """Wanted or not."""
    bench.host.apply([HostChange(AddressKey("eth0", ip_interface(VIP)), AddressConfig())])
    bench.host.applied.clear()

    bench.cycle({VIP})
    assert PLACED == bench.placement.holds()[VIP]
    bench.cycle(())

    assert [] == bench.host.applied
    assert bench.placement.withdrawn(VIP)


def test_what_is_handed_over_stays(bench: Bench) -> None:
    """It is another's to remove, also when this one places VIPs again."""
    bench.cycle(VIPS)
    before = bench.addresses()

    bench.placement.hand_over()
    bench.cycle(())

    assert before == bench.addresses()
