"""What the reconciler does for health checks: beside the farm, and in nobody's way."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lvsctl.director.main import IPVS_SYSCTLS
from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.probe_plan import RESERVED_PORTS
from lvsctl.director.reconcile.probe_services import OWNER, ProbeServices
from lvsctl.director.reconcile.readings import TableReader
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.placements import open_placements
from lvsctl.errors import StoreError
from lvsctl.farm.model import MarkRange, PortRange, Settings
from lvsctl.health.marks import REUSE_DELAY, ProbeMark, ProbeMarks, TunnelPath, mark_table
from lvsctl.health.path import Egress, PreparedPath, TunnelProbe, accept_local
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    HostChange,
    RouteConfig,
    RouteKey,
    SysctlConfig,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.table import (
    AddService,
    DeleteService,
    EditDestination,
    Encapsulation,
    FwmarkKey,
    Operation,
    ServiceKey,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.net import Family
from lvsctl.reasons.probes import NO_PROBE_SERVICE
from lvsctl.reasons.services import PROBE_SET_UP_REFUSED, PROBES_UNMARKED, PROBES_UNROUTED
from lvsctl.results import Done, Result
from lvsctl.store.memory import MemoryLocalState
from tests.support.reasons import because
from tests.unit.director.farms import VIP, WEB_KEY, agent, pool, rip, state, web, web_farm

FIRST_MARK = 0x4C560000
RS1, RS2, RS3 = (TunnelPath(Family.IPV4, rip(n), Encapsulation()) for n in (1, 2, 3))
RS1_GUE = TunnelPath(Family.IPV4, rip(1), Encapsulation(TunnelType.GUE, 6080))
DIP = ip_address("192.0.2.10")
SMALL = Settings(probe_marks=MarkRange(10, 12), probe_ports=PortRange(61000, 61001))


def key(mark: int) -> FwmarkKey:
    return FwmarkKey(Family.IPV4, FIRST_MARK + mark)


@dataclass(frozen=True)
class Probing(State):
    """A state whose health checks take any given paths."""

    tunnel_paths: frozenset[TunnelPath] = frozenset()


def probing(desired: State, *paths: TunnelPath) -> Probing:
    return Probing(**vars(desired), tunnel_paths=frozenset(paths))


class RivalledIpvs(MemoryIpvs):
    """A table in which somebody else can be faster."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Operation] = []
        self.rival: ServiceKey | None = None

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        if self.rival and any(isinstance(each, AddService) for each in operations):
            super().apply([AddService(self.rival, VirtualServiceConfig("wlc"))])
            self.rival = None
        self.told += operations
        return super().apply(operations)


class FullDisk(MemoryLocalState):
    """A local state that can keep no marks."""

    def keep_probe_marks(self, marks: ProbeMarks) -> None:
        raise StoreError(f"no space for {len(marks)} marks")


class Bench:
    """A director whose health checks take some paths."""

    def __init__(self, local: MemoryLocalState | None = None) -> None:
        self.host = MemoryHost([Hardware("eth0")], sysctls=IPVS_SYSCTLS)
        network = RouteKey(MAIN_TABLE, ip_network("192.0.2.0/24"))
        self.host.apply(
            [
                HostChange(AddressKey("eth0", ip_interface(f"{DIP}/24")), AddressConfig()),
                HostChange(network, RouteConfig("eth0", source=None)),
            ]
        )
        self.ipvs = RivalledIpvs()
        self.local = local or MemoryLocalState()
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.restart()

    def restart(self) -> None:
        """Start another reconciler over the same kernel and the same local state."""
        self.probes = ProbeServices(self.ipvs, self.host, self.local, lambda: self.now)
        vips = open_placements(self.host, NoNeighbours(), self.local)
        self.reconciler = Reconciler(
            self.ipvs, self.host, vips, self.probes, self.local, take_sysctls=False
        )

    def cycle(
        self,
        *paths: TunnelPath,
        desired: State | None = None,
        dirty: frozenset[str] | None = None,
        not_enforced: str = "",
    ) -> Cycle:
        self.ipvs.told.clear()
        return self.reconciler.cycle(
            probing(desired or web_farm(1, 2), *paths), dirty, not_enforced
        )

    def marked(self) -> Mapping[int, Collection[str]]:
        """Return the servers that each mark leads to."""
        return {
            key.mark: [str(at) for at in service.destinations]
            for key, service in self.ipvs.snapshot().items()
            if isinstance(key, FwmarkKey)
        }

    def sysctls(self) -> tuple[str, str]:
        found = self.host.observe([accept_local("eth0"), RESERVED_PORTS])
        return tuple(each.value for each in found.values())  # type: ignore[union-attr, return-value]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_path_gets_a_service_and_what_it_needs(bench: Bench) -> None:
    """Durably claimed; its answers are let in, and its source port is nobody else's."""
    cycle = bench.cycle(RS1, RS2)

    way = Egress("eth0", DIP)
    marks = {RS1: ProbeMark(FIRST_MARK, 61000), RS2: ProbeMark(FIRST_MARK + 1, 61001)}
    assert {path: PreparedPath(mark, way) for path, mark in marks.items()} == cycle.prepared_paths
    assert marks == bench.local.probe_marks()
    assert mark_table(marks).items() <= bench.ipvs.snapshot().items()
    assert {key(0): OWNER, key(1): OWNER, WEB_KEY: "web"} == bench.local.claims()
    assert ("1", "61000-64999") == bench.sysctls()
    assert () == cycle.host_problems


def test_where_nothing_is_probed_nothing_is_changed(bench: Bench) -> None:
    """Neither the kernel's parameters nor the local state."""
    bench.cycle()
    assert ({}, ("0", ""), {}) == (bench.marked(), bench.sysctls(), bench.local.probe_marks())


def test_nobody_sees_them_among_the_farms(bench: Bench) -> None:
    """No drift, nothing foreign, no conflict; not even when somebody deletes or bends them."""
    bench.cycle(RS1, RS2)
    (at, config), *_ = bench.ipvs.snapshot()[key(0)].destinations.items()
    bent = type(config)(0, encapsulation=config.encapsulation)
    bench.ipvs.apply([DeleteService(key(1)), EditDestination(key(0), at, bent)])

    cycle = bench.cycle(RS1, RS2)

    assert ((), (), {WEB_KEY}) == (cycle.operations, cycle.foreign, cycle.services.keys())
    assert ((), ()) == (cycle.results, cycle.host_problems)
    assert mark_table(bench.local.probe_marks()).items() <= bench.ipvs.snapshot().items()
    reading = TableReader(bench.ipvs, lambda: bench.reconciler.claims).table()
    assert ({WEB_KEY: "web"}, {key(0), key(1)}) == (reading.ours, reading.probes.keys())
    assert {WEB_KEY} == reading.table.keys()


def test_a_look_at_some_services_leaves_them(bench: Bench) -> None:
    """They are of none of these."""
    bench.cycle(RS1)
    bench.cycle(dirty=frozenset({"web"}), desired=web_farm(1))
    assert {FIRST_MARK: ["192.0.2.11:0"]} == bench.marked()


def test_an_idle_cycle_writes_nothing(bench: Bench) -> None:
    """What is right stays untouched."""
    bench.cycle(RS1, RS2)
    bench.cycle(RS1, RS2)
    assert [] == bench.ipvs.told


def test_they_are_the_same_after_a_restart(bench: Bench) -> None:
    """Whatever else is probed by then."""
    bench.cycle(RS2, RS3)
    bench.restart()
    bench.cycle(RS1, RS3, RS2)
    assert {
        FIRST_MARK: ["192.0.2.12:0"],
        FIRST_MARK + 1: ["192.0.2.13:0"],
        FIRST_MARK + 2: ["192.0.2.11:0"],
    } == bench.marked()


def test_they_are_the_same_after_a_reboot() -> None:
    """The kernel is empty and the claims are void then; the marks are kept."""
    before = Bench()
    before.cycle(RS2, RS3)
    kept = MemoryLocalState()
    kept.keep_probe_marks(before.local.probe_marks())
    after = Bench(kept)
    after.cycle(RS3)
    assert {FIRST_MARK + 1: ["192.0.2.13:0"]} == after.marked()


def test_what_is_probed_no_more_goes_and_leaks_nothing(bench: Bench) -> None:
    """Its service at once, its claim with it, its mark and port after their rest."""
    bench.cycle(RS1)
    bench.cycle()
    assert ({}, {WEB_KEY: "web"}) == (bench.marked(), bench.local.claims())
    assert {RS1: ProbeMark(FIRST_MARK, 61000, bench.now)} == bench.local.probe_marks()
    bench.now += REUSE_DELAY
    bench.cycle()
    assert {} == bench.local.probe_marks()


def test_a_foreign_mark_is_never_taken(bench: Bench) -> None:
    """Somebody's service in our range stays as it is, and is shown as foreign."""
    bench.ipvs.apply([AddService(key(0), VirtualServiceConfig("wlc"))])
    cycle = bench.cycle(RS1)
    assert (key(0),) == cycle.foreign
    assert {FIRST_MARK: [], FIRST_MARK + 1: ["192.0.2.11:0"]} == bench.marked()
    bench.cycle()
    assert {FIRST_MARK: []} == bench.marked()


def test_one_that_somebody_took_meanwhile_is_left_to_them(bench: Bench) -> None:
    """Between the look and the write; the next cycle takes another mark."""
    bench.ipvs.rival = key(0)
    cycle = bench.cycle(RS1)
    assert PROBE_SET_UP_REFUSED in [each.kind for each in cycle.host_problems]
    cycle = bench.cycle(RS1)
    assert {FIRST_MARK: [], FIRST_MARK + 1: ["192.0.2.11:0"]} == bench.marked()
    assert ((key(0),), ()) == (cycle.foreign, cycle.host_problems)
    assert {key(1): OWNER, WEB_KEY: "web"} == bench.local.claims()


def test_a_mark_that_the_farm_gets_is_given_up_first(bench: Bench) -> None:
    """With another range of probe marks a service may have one that a probe had."""
    bench.cycle(RS1, desired=state([web()], [pool(1)], settings=SMALL))
    marked = web(protocol=None, ports=(), fwmark=10)
    settings = Settings(probe_marks=MarkRange(11, 12), probe_ports=SMALL.probe_ports)
    cycle = bench.cycle(RS1, desired=state([marked], [pool(1)], settings=settings))
    assert {10: ["192.0.2.11:0"], 11: ["192.0.2.11:0"]} == bench.marked()
    assert 100 == next(
        config.weight
        for config in bench.ipvs.snapshot()[FwmarkKey(Family.IPV4, 10)].destinations.values()
    )
    assert all(result == Done() for _, result in cycle.results)
    claims = {FwmarkKey(Family.IPV4, 10): "web", FwmarkKey(Family.IPV4, 11): OWNER}
    assert claims.items() <= bench.local.claims().items()


def test_where_the_range_is_too_small_it_is_said(bench: Bench) -> None:
    """Those that have one keep it."""
    desired = state([web()], [pool(1, 2, 3)], settings=SMALL)
    bench.cycle(RS2, RS3, desired=desired)
    cycle = bench.cycle(RS1, RS2, RS3, desired=desired)
    assert {10: ["192.0.2.12:0"], 11: ["192.0.2.13:0"]} == bench.marked()
    (problem,) = cycle.host_problems
    assert PROBES_UNMARKED is problem.kind
    assert (1, "192.0.2.11 over ipip (IPv4)") == (problem.values["count"], problem.values["first"])
    assert {RS2, RS3} == cycle.prepared_paths.keys()


def test_a_server_without_a_route_is_named(bench: Bench) -> None:
    """The others are probed."""
    far = TunnelPath(Family.IPV4, ip_address("203.0.113.14"), Encapsulation())
    cycle = bench.cycle(RS1, far)
    assert {RS1} == cycle.prepared_paths.keys()
    (problem,) = cycle.host_problems
    assert (PROBES_UNROUTED, "203.0.113.14") == (problem.kind, problem.subject)


def test_who_only_observes_writes_nothing(bench: Bench) -> None:
    """Neither to the kernel nor to the disk."""
    bench.cycle(RS1, not_enforced=because("only looked at"))
    assert ({}, ("0", ""), {}) == (bench.marked(), bench.sysctls(), bench.local.probe_marks())
    assert {} == bench.local.claims()


def test_a_disk_that_keeps_no_mark_keeps_it_from_the_kernel() -> None:
    """Otherwise it would be given to another after a restart."""
    bench = Bench(FullDisk())
    with pytest.raises(StoreError):
        bench.cycle(RS1)
    assert {} == bench.marked()


def test_a_server_that_changes_its_tunnel_has_both_for_a_while(bench: Bench) -> None:
    """The agent goes on accepting what probes still use."""
    rs1 = agent(1, VIP)
    desired = state([web()], [pool(1)], agents=[rs1])
    bench.cycle(RS1, desired=desired)
    cycle = bench.cycle(RS1_GUE, desired=desired)
    assert {rip(1): {Encapsulation()}} == {a: set(used) for a, used in cycle.tunnels.items()}
    cycle = bench.cycle(RS1_GUE, desired=desired)
    assert {RS1.encapsulation, RS1_GUE.encapsulation} == set(cycle.tunnels[rip(1)])


def test_a_look_at_some_services_leaves_the_probes_alone(bench: Bench) -> None:
    """It does not know them: their marks, and what is claimed, stay."""
    bench.cycle(RS1)
    before = bench.local.probe_marks()
    bench.cycle(RS1, dirty=frozenset({"web"}))
    assert before == bench.local.probe_marks()
    assert {FIRST_MARK: ["192.0.2.11:0"]} == bench.marked()


def test_ports_that_others_reserved_stay_reserved(bench: Bench) -> None:
    """Ours are added."""
    bench.host.apply([HostChange(RESERVED_PORTS, SysctlConfig("8080"))])
    bench.cycle(RS1)
    assert ("1", "8080,61000-64999") == bench.sysctls()


def test_what_is_looked_at_tells_whether_a_probe_counts(bench: Bench) -> None:
    """All is there after a cycle; a mark whose service is gone freezes."""
    desired = web_farm(1, 2)
    prepared = bench.cycle(RS1, desired=desired).prepared_paths[RS1]
    probe = TunnelProbe(RS1, prepared.mark, VIP, prepared.egress)
    assert bench.reconciler.path_problems(desired, [probe])[probe] is None
    bench.ipvs.apply([DeleteService(key(0))])
    assert NO_PROBE_SERVICE(key(0)) == bench.reconciler.path_problems(desired, [probe])[probe]
    bench.cycle(RS1, desired=desired)
    assert bench.reconciler.path_problems(desired, [probe])[probe] is None


def test_a_clock_that_jumps_takes_no_port_of_one_in_use(bench: Bench) -> None:
    """Only what rests depends on the time."""
    bench.cycle(RS1, RS2)
    bench.now += timedelta(days=400)
    before = bench.local.probe_marks()
    bench.cycle(RS1, RS2)
    assert before == bench.local.probe_marks()
