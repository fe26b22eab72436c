"""The order of a cycle's phases, and what each waits for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_interface, ip_network
from itertools import groupby

import pytest

from lvsctl.director.main import IPVS_SYSCTLS
from lvsctl.director.reconcile.cycle import Cycle, KeyState
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.director.vips.external import ExternalVips
from lvsctl.director.vips.neighbours import Neighbours, NoNeighbours
from lvsctl.director.vips.placements import Placements, open_placements
from lvsctl.farm.model import Settings, VipOwner
from lvsctl.health.marks import TunnelPath
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    HostChange,
    RouteConfig,
    RouteKey,
    SysctlKey,
)
from lvsctl.host.memory import Hardware
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.table import Encapsulation, Operation, SetTimeouts, service_of
from lvsctl.net import Family
from lvsctl.reasons.services import DUPLICATE_CHECK, SETTING_REFUSED, WAITS_FOR_VIP
from lvsctl.results import Result
from lvsctl.store.memory import MemoryLocalState
from tests.support.hosts import RecordingHost
from tests.support.neighbours import SlowNeighbours
from tests.support.placements import ELECTING, SlowPlacement
from tests.unit.director.farms import OTHER_VIP, VIP, WEB_KEY, pool, rip, state, web, web_farm

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
OTHER_KEY = replace(WEB_KEY, vip=OTHER_VIP)
WEB = frozenset({"web"})


class JournalledHost(RecordingHost):
    """A host that enters what it is told into a journal."""

    journal: list[str]

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        self.journal += map(_phase_of_change, changes)
        return super().apply(changes)


class JournalledIpvs(MemoryIpvs):
    """A table that enters what it is told into a journal."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self._journal = journal

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        self._journal += map(_phase_of_operation, operations)
        return super().apply(operations)


def _phase_of_change(change: HostChange) -> str:
    match change.key:
        case SysctlKey(path=("net", "ipv4", "vs", _)):
            return "settings"
        case SysctlKey():
            return "probe services"
        case _:
            return "place VIPs" if change.config else "withdraw VIPs"


def _phase_of_operation(operation: Operation) -> str:
    if isinstance(operation, SetTimeouts):
        return "settings"
    key = service_of(operation)
    return "table" if key in {WEB_KEY, OTHER_KEY} else "probe services"


@dataclass(frozen=True)
class Probing(State):
    """A state whose health checks reach rs1 through the tunnel."""

    tunnel_paths: frozenset[TunnelPath] = frozenset(
        {TunnelPath(Family.IPV4, rip(1), Encapsulation())}
    )


class Bench:
    """A director's kernel in memory, and a journal of what is written to it."""

    def __init__(
        self, placements: Placements | None = None, neighbours: Neighbours | None = None
    ) -> None:
        self.journal: list[str] = []
        self.host = JournalledHost([Hardware("eth0")], sysctls=IPVS_SYSCTLS)
        self.host.journal = self.journal
        dip = AddressKey("eth0", ip_interface("192.0.2.10/24"))
        network = RouteKey(MAIN_TABLE, ip_network("192.0.2.0/24"))
        self.host.apply(
            [
                HostChange(dip, AddressConfig()),
                HostChange(network, RouteConfig("eth0", source=None)),
            ]
        )
        self.ipvs = JournalledIpvs(self.journal)
        local = MemoryLocalState()
        self.reconciler = Reconciler(
            self.ipvs,
            self.host,
            placements or open_placements(self.host, neighbours or NoNeighbours(), local),
            ProbeServices(self.ipvs, self.host, local, lambda: NOON),
            local,
            take_sysctls=False,
        )
        self.journal.clear()

    def cycle(self, desired: State, dirty: frozenset[str] | None = None) -> Cycle:
        return self.reconciler.cycle(desired, dirty, None)


def test_the_phases_are_in_order() -> None:
    """A cycle with something to write in each of them."""
    bench = Bench()
    bench.cycle(state([web(name="old")], [pool(1)]))
    bench.journal.clear()
    settings = Settings(tcp_timeout_s=60, sysctls={"sloppy_tcp": 1})
    changed = state([web(OTHER_VIP, name="new")], [pool(1)], settings=settings, revision=2)

    bench.cycle(Probing(**vars(changed)))

    assert [
        "probe services",
        "settings",
        "withdraw VIPs",
        "table",
        "place VIPs",
    ] == [phase for phase, _ in groupby(bench.journal)]


@pytest.fixture
def slow() -> SlowPlacement:
    return SlowPlacement()


@pytest.fixture
def slow_bench(slow: SlowPlacement) -> Bench:
    return Bench({VipOwner.MANAGE: slow, VipOwner.EXTERNAL: ExternalVips()})


def test_a_service_is_applied_once_its_vip_is_placed(
    slow: SlowPlacement, slow_bench: Bench
) -> None:
    """Until then it is pending, for the placement's reason."""
    view = slow_bench.cycle(web_farm(1)).services[WEB_KEY]
    assert (KeyState.PENDING, ELECTING) == (view.state, view.reason)
    assert (frozenset({VIP}), frozenset({VIP})) == (slow.wanted, slow.served)

    slow.settle()

    assert KeyState.APPLIED is slow_bench.cycle(web_farm(1), WEB).services[WEB_KEY].state


def test_a_service_is_deleted_once_its_vip_is_withdrawn(
    slow: SlowPlacement, slow_bench: Bench
) -> None:
    """Until then clients that reach the VIP are still served."""
    slow_bench.cycle(web_farm(1))
    slow.settle()

    cycle = slow_bench.cycle(state(revision=2), WEB)
    assert WEB_KEY in slow_bench.ipvs.snapshot()
    assert WAITS_FOR_VIP() == cycle.services[WEB_KEY].reason.values["why"]
    slow.settle()
    slow_bench.cycle(state(revision=2), WEB)

    assert {} == slow_bench.ipvs.snapshot()


def test_a_moved_service_serves_at_its_old_vip_until_the_new_one_is_placed(
    slow: SlowPlacement, slow_bench: Bench
) -> None:
    """However long that takes; then the old VIP goes first, and its service last."""
    slow_bench.cycle(web_farm(1))
    slow.settle()
    moved = state([web(OTHER_VIP)], [pool(1)], revision=2)

    for dirty in (WEB, None):
        cycle = slow_bench.cycle(moved, dirty)
        assert KeyState.HELD is cycle.services[WEB_KEY].state
        assert {WEB_KEY, OTHER_KEY} == slow_bench.ipvs.snapshot().keys()
        assert {VIP, OTHER_VIP} == slow.wanted
    slow.settle()
    cycle = slow_bench.cycle(moved, WEB)
    assert WAITS_FOR_VIP() == cycle.services[WEB_KEY].reason.values["why"]
    slow.settle()
    slow_bench.cycle(moved, WEB)

    assert [OTHER_KEY] == list(slow_bench.ipvs.snapshot())
    assert {OTHER_VIP} == slow.here


def test_a_moved_service_is_let_go_by_the_cycle_that_places_its_vip() -> None:
    """The neighbours answer after the cycle that added the service in its new place."""
    neighbours = SlowNeighbours()
    bench = Bench(neighbours=neighbours)
    bench.cycle(web_farm(1))
    neighbours.answer()
    bench.cycle(web_farm(1), WEB)
    moved = state([web(OTHER_VIP)], [pool(1)], revision=2)
    cycle = bench.cycle(moved, WEB)
    assert KeyState.HELD is cycle.services[WEB_KEY].state
    view = cycle.services[OTHER_KEY]
    assert (KeyState.PENDING, DUPLICATE_CHECK(OTHER_VIP)) == (view.state, view.reason)
    assert {} == cycle.vip_problems

    neighbours.answer()
    cycle = bench.cycle(moved, WEB)

    assert [OTHER_KEY] == list(bench.ipvs.snapshot())
    assert KeyState.APPLIED is cycle.services[OTHER_KEY].state


def test_a_partial_cycle_states_all_vips_that_are_served(
    slow: SlowPlacement, slow_bench: Bench
) -> None:
    """Placements are level-triggered: they are never told of the dirty services alone."""
    mail = replace(web(OTHER_VIP), name="mail", ports=(25,))
    slow_bench.cycle(state([web(), mail], [pool(1)]))

    slow_bench.cycle(state([web(scheduler="wrr"), mail], [pool(1)], revision=2), WEB)

    assert ({VIP, OTHER_VIP}, {VIP, OTHER_VIP}) == (slow.wanted, slow.served)


def test_a_setting_that_the_kernel_refuses_keeps_nothing_else_from_being_written() -> None:
    """It is reported, and the phases after it go on."""
    bench = Bench()
    key = SysctlKey(("net", "ipv4", "vs", "expire_nodest_conn"))
    bench.host.refused = {key}

    cycle = bench.cycle(web_farm(1))

    assert KeyState.APPLIED is cycle.services[WEB_KEY].state
    (problem,) = cycle.host_problems
    assert (SETTING_REFUSED, f"set {key} to 1") == (problem.kind, problem.values["change"])
