"""The reconciler over a kernel in memory: what it writes, in which order, and what it leaves."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lvsctl.director.main import IPVS_SYSCTLS
from lvsctl.director.reconcile.cycle import Cycle, KeyState
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.director.vips.neighbours import AddressesOfLinks, OnOwners
from lvsctl.director.vips.placements import open_placements
from lvsctl.director.vips.plan import VIP_LINK, vip_key
from lvsctl.errors import StoreError
from lvsctl.farm.model import Settings, VipOwner
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    HostChange,
    RouteConfig,
    RouteKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Operation,
    ServiceKey,
    VirtualServiceConfig,
)
from lvsctl.net import IPAddress
from lvsctl.reasons.services import (
    SETTING_SHARED,
    VIP_ANSWERED_ND,
    VIP_IS_SOURCE,
    VIP_SILENCED,
)
from lvsctl.results import Result
from tests.support.reasons import because
from tests.support.stores import BreakableLocalState
from tests.unit.director.farms import (
    OTHER_VIP,
    VIP,
    WEB_KEY,
    agent,
    pool,
    rip,
    state,
    web,
    web_farm,
)

NETWORK = RouteKey(MAIN_TABLE, ip_network("192.0.2.0/24"))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class TalkativeNeighbours:
    """A link on which some addresses are taken, and that remembers what was announced."""

    def __init__(self) -> None:
        self.addresses_in_use: dict[IPAddress, str] = {}
        self.asked: list[IPAddress] = []
        self.announced: list[IPAddress] = []

    def ask(self, addresses: AddressesOfLinks, on_owners: OnOwners) -> None:
        assert {"eth0"} >= addresses.keys()
        asked = addresses.get("eth0", ())
        self.asked += asked
        on_owners({each: who for each, who in self.addresses_in_use.items() if each in asked})

    def announce(self, addresses: AddressesOfLinks) -> None:
        assert {"eth0"} >= addresses.keys()
        self.announced += addresses.get("eth0", ())


class RecordingIpvs(MemoryIpvs):
    """A table that remembers what it was told, with the VIPs that were local at that moment."""

    def __init__(self, host: MemoryHost) -> None:
        super().__init__()
        self.host = host
        self.told: list[Operation] = []
        self.local: list[frozenset[object]] = []

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        if operations:
            self.local.append(frozenset(key.address.ip for key in self.host.addresses()))
        self.told += operations
        return super().apply(operations)


class Bench:
    """A director's kernel in memory."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.host = MemoryHost([Hardware("eth0")], sysctls=IPVS_SYSCTLS)
        self.host.apply(
            [
                HostChange(AddressKey("eth0", ip_interface("192.0.2.10/24")), AddressConfig()),
                HostChange(
                    RouteKey(MAIN_TABLE, ip_network("192.0.2.0/24")),
                    RouteConfig("eth0", source=None),
                ),
            ]
        )
        self.ipvs = RecordingIpvs(self.host)
        self.local = BreakableLocalState()
        self.neighbours = TalkativeNeighbours()
        self.restart()

    def restart(self, *, take_sysctls: bool = False) -> None:
        """Start another reconciler over the same kernel and the same local state."""
        vips = open_placements(self.host, self.neighbours, self.local)
        probes = ProbeServices(self.ipvs, self.host, self.local, lambda: NOON)
        self.reconciler = Reconciler(
            self.ipvs,
            self.host,
            vips,
            probes,
            self.local,
            take_sysctls=take_sysctls,
            monotonic=self.monotonic,
        )

    def forget(self) -> None:
        """Lose the local state."""
        self.local = BreakableLocalState()

    def cycle(
        self, desired: State, dirty: frozenset[str] | None = None, not_enforced: str = ""
    ) -> Cycle:
        self.ipvs.told.clear()
        return self.reconciler.cycle(desired, dirty, not_enforced)

    def weights(self, key: ServiceKey = WEB_KEY) -> dict[int, int]:
        """Return the weight of each real server by its number."""
        destinations = self.ipvs.snapshot()[key].destinations
        return {int(d.address) - int(rip(0)): config.weight for d, config in destinations.items()}

    def local_vips(self) -> set[object]:
        return {key.address.ip for key in self.host.addresses() if key.link == VIP_LINK.name}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_fills_an_empty_kernel_and_then_has_nothing_to_do(bench: Bench) -> None:
    """The first cycle makes everything, the second nothing."""
    cycle = bench.cycle(web_farm(1, 2, 3))

    assert {1: 100, 2: 100, 3: 100} == bench.weights()
    assert {VIP} == bench.local_vips()
    assert [VIP] == bench.neighbours.announced
    assert KeyState.APPLIED is cycle.services[WEB_KEY].state
    again = bench.cycle(web_farm(1, 2, 3))
    assert ((), ()) == (again.operations, again.host_changes)
    assert [VIP] == bench.neighbours.announced


def test_adds_the_vip_after_its_service(bench: Bench) -> None:
    """While operations are carried out the new VIP is not local yet."""
    bench.cycle(web_farm(1))

    assert [VIP not in local for local in bench.ipvs.local] == [True] * len(bench.ipvs.local)
    assert {VIP} == bench.local_vips()


def test_removes_the_vip_before_its_last_service(bench: Bench) -> None:
    """When the service is deleted its VIP is not local any more."""
    bench.cycle(web_farm(1))
    bench.ipvs.local.clear()

    bench.cycle(state([], [pool(1)], revision=2))

    assert [DeleteService(WEB_KEY)] == bench.ipvs.told
    assert [VIP not in local for local in bench.ipvs.local] == [True]


def test_keeps_a_vip_that_another_service_uses(bench: Bench) -> None:
    """A VIP goes with its last service only."""
    second = replace(web(), name="mail", ports=(25,))
    bench.cycle(state([web(), second], [pool(1)]))

    bench.cycle(state([second], [pool(1)], revision=2))

    assert {VIP} == bench.local_vips()


def test_edits_in_place(bench: Bench) -> None:
    """Weight and scheduler are set, nothing is deleted and added again."""
    bench.cycle(web_farm(1, 2))
    changed = state([web(scheduler="wrr")], [pool(1, 2)], revision=2)
    heavier = replace(changed.farm.pools["web"].real_servers[0], weight=7)
    pools = {"web": replace(pool(1, 2), real_servers=(heavier, pool(2).real_servers[0]))}
    changed = replace(changed, farm=replace(changed.farm, pools=pools))

    bench.cycle(changed, frozenset({"web"}))

    assert [EditService, EditDestination] == [type(op) for op in bench.ipvs.told]
    assert {1: 7, 2: 100} == bench.weights()


@pytest.mark.parametrize(
    "damage",
    [
        DeleteService(WEB_KEY),
        EditDestination(WEB_KEY, DestinationKey(rip(1), 80), DestinationConfig(1)),
        AddDestination(WEB_KEY, DestinationKey(rip(9), 80), DestinationConfig(1)),
        DeleteDestination(WEB_KEY, DestinationKey(rip(1), 80)),
        EditService(WEB_KEY, VirtualServiceConfig("lc")),
    ],
    ids=str,
)
def test_puts_right_what_was_changed_by_hand(bench: Bench, damage: Operation) -> None:
    """Whatever was done to a service of ours, the next full cycle undoes it."""
    bench.cycle(web_farm(1, 2))
    wanted = bench.ipvs.snapshot()
    bench.ipvs.apply([damage])
    assert wanted != bench.ipvs.snapshot()

    bench.cycle(web_farm(1, 2))

    assert wanted == bench.ipvs.snapshot()


def test_reports_a_foreign_service_and_never_touches_it(bench: Bench) -> None:
    """What the farm does not want and we did not make stays, over restarts too."""
    foreign = [
        AddService(WEB_KEY, VirtualServiceConfig("lc")),
        AddDestination(WEB_KEY, DestinationKey(rip(9), 80), DestinationConfig(3)),
    ]
    bench.ipvs.apply(foreign)
    before = bench.ipvs.snapshot()
    for _ in range(2):
        bench.restart()
        cycle = bench.cycle(state())
        assert (WEB_KEY,) == cycle.foreign
        assert [] == bench.ipvs.told
    assert before == bench.ipvs.snapshot()


def test_a_wanted_key_that_stands_unclaimed_is_a_conflict_until_adopted(bench: Bench) -> None:
    """A conflict is left alone, its VIP not added; once adopted it is edited in place."""
    bench.ipvs.apply([AddService(WEB_KEY, VirtualServiceConfig("lc"))])
    farm = web_farm(1)

    cycle = bench.cycle(farm)

    assert KeyState.CONFLICT is cycle.services[WEB_KEY].state
    assert "conflict" == cycle.services[WEB_KEY].reason.code
    assert ([], set()) == (bench.ipvs.told, bench.local_vips())
    bench.reconciler.adopt(bench.reconciler.adoption(farm, {"web"}), farm)
    cycle = bench.cycle(farm)
    assert [EditService, AddDestination] == [type(op) for op in bench.ipvs.told]
    assert KeyState.APPLIED is cycle.services[WEB_KEY].state
    assert {VIP} == bench.local_vips()


def test_a_lost_local_state_removes_nothing(bench: Bench) -> None:
    """Without claims our own services are foreign to us, and so are the VIPs."""
    bench.cycle(web_farm(1, 2))
    before = bench.ipvs.snapshot()
    bench.local = BreakableLocalState()
    bench.restart()

    for farm in (web_farm(1), state()):
        bench.cycle(farm)
        assert (before, {VIP}) == (bench.ipvs.snapshot(), bench.local_vips())


def test_observing_plans_and_writes_nothing(bench: Bench) -> None:
    """The plan is there with its reason, the kernel is untouched and nothing is claimed."""
    cycle = bench.cycle(web_farm(1), not_enforced=because("only observing"))

    assert [AddService, AddDestination] == [type(op) for op in cycle.operations]
    assert () == cycle.results
    assert because("only observing") == cycle.services[WEB_KEY].reason.values["why"]
    assert ({}, set(), {}) == (bench.ipvs.snapshot(), bench.local_vips(), bench.local.claims())


def test_a_vip_that_another_host_answers_for_is_not_added(bench: Bench) -> None:
    """The reason names who answers; when it is free again the VIP is added."""
    bench.neighbours.addresses_in_use[VIP] = "02:00:00:00:00:99 on eth0"

    cycle = bench.cycle(web_farm(1))

    assert KeyState.PENDING is cycle.services[WEB_KEY].state
    assert "02:00:00:00:00:99 on eth0" == cycle.services[WEB_KEY].reason.values["owner"]
    assert set() == bench.local_vips()
    bench.neighbours.addresses_in_use.clear()
    cycle = bench.cycle(web_farm(1))
    assert {VIP} == bench.local_vips()
    assert KeyState.APPLIED is cycle.services[WEB_KEY].state


def test_a_vip_that_is_there_already_is_used_and_never_removed(bench: Bench) -> None:
    """Only addresses that we added are ours to remove."""
    bench.host.apply([HostChange(AddressKey("eth0", ip_interface(f"{VIP}/32")), AddressConfig())])
    bench.cycle(web_farm(1))
    assert set() == bench.local_vips()

    bench.cycle(state(revision=2))

    assert VIP in {key.address.ip for key in bench.host.addresses()}


def test_external_vips_are_left_to_their_owner(bench: Bench) -> None:
    """Nothing is added; what we had added before stays, and is not ours any more."""
    external = Settings(vips=VipOwner.EXTERNAL)
    bench.cycle(web_farm(1))

    bench.cycle(state([web()], [pool(1)], settings=external, revision=2))
    bench.cycle(state(revision=3))

    assert {VIP} == bench.local_vips()


def test_a_changed_vip_serves_before_the_old_one_is_gone(bench: Bench) -> None:
    """With agents the old service stays until one of them is ready for the new VIP."""
    ready = agent(1, VIP)
    bench.cycle(state([web()], [pool(1)], agents=[ready]))
    moved = [web(OTHER_VIP)]

    cycle = bench.cycle(state(moved, [pool(1)], agents=[ready], revision=2), frozenset({"web"}))

    assert KeyState.HELD is cycle.services[WEB_KEY].state
    assert {1: 100} == bench.weights()
    assert {VIP, OTHER_VIP} == bench.local_vips()
    assert [WEB_KEY] == list(cycle.orphaned)
    both = agent(1, VIP, OTHER_VIP)
    cycle = bench.cycle(state(moved, [pool(1)], agents=[both], revision=3), frozenset({"web"}))
    assert [replace(WEB_KEY, vip=OTHER_VIP)] == list(bench.ipvs.snapshot())
    assert {OTHER_VIP} == bench.local_vips()
    assert {} == cycle.orphaned


def test_a_changed_port_is_made_before_the_old_one_is_deleted(bench: Bench) -> None:
    """One cycle does both, in two passes: the new service is seen to stand in between."""
    bench.cycle(web_farm(1))

    bench.cycle(state([web(ports=(81,))], [pool(1)], revision=2), frozenset({"web"}))

    assert [AddService, AddDestination, DeleteService] == [type(op) for op in bench.ipvs.told]
    assert [replace(WEB_KEY, port=81)] == list(bench.ipvs.snapshot())


def test_the_old_vip_stays_while_the_new_one_cannot_be_added(bench: Bench) -> None:
    """A new VIP that another host answers for leaves the service where it was."""
    bench.cycle(web_farm(1))
    bench.neighbours.addresses_in_use[OTHER_VIP] = "02:00:00:00:00:99 on eth0"

    cycle = bench.cycle(state([web(OTHER_VIP)], [pool(1)], revision=2), frozenset({"web"}))

    assert KeyState.HELD is cycle.services[WEB_KEY].state
    assert ({VIP}, {1: 100}) == (bench.local_vips(), bench.weights())


def test_a_held_service_is_not_kept_for_a_pool_that_became_empty(bench: Bench) -> None:
    """Where no agent is waited for, the old service goes at once."""
    bench.cycle(web_farm(1))

    bench.cycle(state([web(OTHER_VIP)], [pool()], revision=2))

    assert [replace(WEB_KEY, vip=OTHER_VIP)] == list(bench.ipvs.snapshot())


def test_a_service_that_appears_while_we_add_it_is_left_to_whoever_made_it(bench: Bench) -> None:
    """EEXIST on our add gives up the claim, so that the next look finds a conflict."""
    original = bench.ipvs.snapshot

    def blind_once(keys: Collection[ServiceKey] | None = None) -> object:
        bench.ipvs.snapshot = original  # type: ignore[method-assign]
        seen = original(keys)
        bench.ipvs.apply([AddService(WEB_KEY, VirtualServiceConfig("lc"))])
        return seen

    bench.ipvs.snapshot = blind_once  # type: ignore[method-assign, assignment]

    cycle = bench.cycle(web_farm(1))

    assert KeyState.CONFLICT is cycle.services[WEB_KEY].state
    assert {} == bench.local.claims()
    assert {} == bench.weights()


def test_a_claim_that_cannot_be_kept_adds_nothing(bench: Bench) -> None:
    """A full disk stops the cycle before the kernel is touched."""

    def full(keys: Mapping[ServiceKey, str]) -> None:
        raise StoreError(f"no space for {len(keys)} claims")

    bench.local.claim = full  # type: ignore[method-assign]

    with pytest.raises(StoreError, match="no space"):
        bench.cycle(web_farm(1))
    assert {} == bench.ipvs.snapshot()


def test_sysctls_are_written_while_nobody_else_feels_them(bench: Bench) -> None:
    """With a foreign service they are only reported, unless its owner agreed."""
    key = SysctlKey(("net", "ipv4", "vs", "expire_nodest_conn"))
    bench.ipvs.apply([AddService(WEB_KEY, VirtualServiceConfig("lc"))])

    cycle = bench.cycle(state())

    assert SysctlConfig("0") == bench.host.observe([key])[key]
    assert {SETTING_SHARED} == {problem.kind for problem in cycle.host_problems}
    bench.restart(take_sysctls=True)
    cycle = bench.cycle(state())
    assert SysctlConfig("1") == bench.host.observe([key])[key]
    assert () == cycle.host_problems


def test_a_director_that_may_not_answer_arp_is_reported(bench: Bench) -> None:
    """With arp_ignore on its link nobody finds the VIP, and the cure names the sysctl."""
    key = SysctlKey(("net", "ipv4", "conf", "eth0", "arp_ignore"))
    bench.host.apply([HostChange(key, SysctlConfig("1"))])

    cycle = bench.cycle(web_farm(1))

    (problem,) = cycle.host_problems
    assert (VIP_SILENCED, "eth0") == (problem.kind, problem.subject)


def test_a_partial_cycle_looks_only_at_what_is_dirty(bench: Bench) -> None:
    """A change to one service leaves damage to another for the timer."""
    mail = replace(web(), name="mail", ports=(25,))
    farm = state([web(), mail], [pool(1)])
    bench.cycle(farm)
    bench.ipvs.apply([DeleteService(WEB_KEY)])

    bench.cycle(farm, frozenset({"mail"}))
    assert WEB_KEY not in bench.ipvs.snapshot()

    bench.cycle(farm)
    assert WEB_KEY in bench.ipvs.snapshot()


def test_claims_are_released_only_when_a_snapshot_shows_the_key_gone(bench: Bench) -> None:
    """The delete itself keeps the claim; the next look gives it up."""
    bench.cycle(web_farm(1))

    bench.cycle(state(revision=2))
    assert [WEB_KEY] == list(bench.local.claims())

    bench.cycle(state(revision=2))
    assert {} == bench.local.claims()


def test_vips_of_ours_are_removed_after_a_restart_too(bench: Bench) -> None:
    """What we added is remembered over restarts."""
    bench.cycle(web_farm(1))
    bench.restart()

    bench.cycle(state(revision=2))

    assert set() == bench.local_vips()
    assert {vip_key(VIP)}.isdisjoint(bench.local.host_claims.claimed())


VIP6 = ip_address("2001:db8:2::10")
DIP6 = AddressKey("eth0", ip_interface("2001:db8:2::1/64"))
HIDDEN = AddressConfig(nodad=True, deprecated=True)


def of_vip(bench: Bench, vip: IPAddress = VIP6) -> dict[str, AddressConfig]:
    """Return the options of a VIP on each device that has it."""
    found = bench.host.addresses().items()
    return {key.link: config for key, config in found if key.address.ip == vip}


@pytest.fixture
def bench6(bench: Bench) -> Bench:
    """Give the director an IPv6 address."""
    bench.host.apply([HostChange(DIP6, AddressConfig())])
    return bench


def test_an_ipv6_vip_on_link_is_on_the_uplink_and_announced(bench6: Bench) -> None:
    """It is hidden from source selection, and goes with its service."""
    bench6.cycle(web_farm(1, vip=VIP6))

    assert {"eth0": HIDDEN} == of_vip(bench6)
    assert ([VIP6], [VIP6]) == (bench6.neighbours.asked, bench6.neighbours.announced)
    bench6.restart()
    assert () == bench6.cycle(web_farm(1, vip=VIP6)).host_changes
    bench6.cycle(state(revision=2))
    assert {} == of_vip(bench6)


def test_a_routed_ipv6_vip_is_on_our_device_and_not_announced(bench6: Bench) -> None:
    """Nobody asks for it on the link, but somebody may have it there."""
    routed = ip_address("2001:db8:51::10")

    bench6.cycle(web_farm(1, vip=routed))

    assert {"lvs0": HIDDEN} == of_vip(bench6, routed)
    assert ([routed], []) == (bench6.neighbours.asked, bench6.neighbours.announced)


def test_an_ipv6_vip_follows_its_network(bench6: Bench) -> None:
    """When the network leaves the device and returns, the VIP is never absent."""
    farm = web_farm(1, vip=VIP6)
    bench6.cycle(farm)
    for config, devices in ((None, "lvs0"), (AddressConfig(), "eth0")):
        bench6.host.apply([HostChange(DIP6, config)])
        bench6.cycle(farm)
        assert {"eth0", "lvs0"} == of_vip(bench6).keys()
        bench6.cycle(farm)
        assert {devices: HIDDEN} == of_vip(bench6)


def test_an_ipv6_vip_that_cannot_move_stays_and_says_why(bench6: Bench) -> None:
    """Somebody else has it on the link that it should move to."""
    farm = web_farm(1, vip=VIP6)
    bench6.host.apply([HostChange(DIP6, None)])
    bench6.cycle(farm)
    bench6.neighbours.addresses_in_use[VIP6] = "02:00:00:00:00:99 on eth0"
    bench6.host.apply([HostChange(DIP6, AddressConfig())])

    cycle = bench6.cycle(farm)

    assert ["lvs0"] == list(of_vip(bench6))
    taken = cycle.vip_problems[VIP6]
    assert (VIP_ANSWERED_ND, "eth0") == (taken.kind, taken.values["link"])


def test_options_of_ours_that_drifted_are_put_right(bench6: Bench) -> None:
    """Somebody else's are only warned of."""
    farm = web_farm(1, vip=VIP6)
    key = AddressKey("eth0", ip_interface(VIP6))
    bench6.cycle(farm)
    bench6.host.apply([HostChange(key, AddressConfig())])
    bench6.cycle(farm)
    assert {"eth0": HIDDEN} == of_vip(bench6)

    bench6.local = BreakableLocalState()
    bench6.restart()
    bench6.host.apply([HostChange(key, AddressConfig())])
    cycle = bench6.cycle(farm)
    assert {"eth0": AddressConfig()} == of_vip(bench6)
    assert VIP_IS_SOURCE in [problem.kind for problem in cycle.host_problems]


def test_adopting_takes_the_ipv6_vip_as_it_would_have_been_added(bench6: Bench) -> None:
    """After a lost local state the VIP goes with its service again."""
    farm = web_farm(1, vip=VIP6)
    bench6.cycle(farm)
    bench6.local = BreakableLocalState()
    bench6.restart()
    bench6.reconciler.adopt(bench6.reconciler.adoption(farm, {"web"}), farm)

    bench6.cycle(state(revision=2))

    assert {} == of_vip(bench6)


def test_external_ipv6_vips_are_left_to_their_owner(bench6: Bench) -> None:
    """What we had added stays."""
    bench6.cycle(web_farm(1, vip=VIP6))

    external = Settings(vips=VipOwner.EXTERNAL)
    bench6.cycle(state([web(VIP6)], [pool(1)], settings=external, revision=2))
    bench6.cycle(state(revision=3))

    assert {"eth0": HIDDEN} == of_vip(bench6)
