"""A change costs what it changes, whatever else the farm holds: lines are counted, not time."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lvsctl.director.agents.edits import AcceptReport, RegisterAgent
from lvsctl.director.events.cycle import cycle_events
from lvsctl.director.reconcile.cycle import Cycle, KernelView, KeyState, KeyView, ServiceHealth
from lvsctl.director.state import State
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import Edit, PutFarm, PutObject, PutOverride, PutRealServer
from lvsctl.events import EventKind
from lvsctl.farm.checks import HealthCheck, HttpRequest
from lvsctl.farm.model import Farm, Pool, RealServer, Service
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH as NOW
from lvsctl.farm.status import AdministrativeState, Override, ServerId
from lvsctl.ipvs.table import AddressKey
from lvsctl.messages.model import Registration, Report, Tunnel
from lvsctl.net import IpProtocol
from lvsctl.store.memory import MemoryStore
from tests.support.executed_lines import executed_lines
from tests.support.reasons import because

SMALL, LARGE = 20, 200
ALONE = EditContext()
VIPS, RIPS = IPv4Address("198.18.0.1"), IPv4Address("10.0.0.1")
SERVER = RealServer("rs1", RIPS + 10)
CHECKED = HealthCheck(HttpRequest())
DRAINING = Override(AdministrativeState.DRAINING, None, "disk", "operator", NOW)
SERVICE = Service("s1", VIPS + 1, "p1", ports=(80,))
POOL = Pool("p1", real_servers=(SERVER, RealServer("rs2", RIPS + 11)), health_checks=(CHECKED,))


def farm(services: int) -> Farm:
    """Return services that each have a pool of two servers, with checks through the tunnel."""
    return Farm(
        {
            f"s{n}": replace(SERVICE, name=f"s{n}", vip=VIPS + n, pool=f"p{n}")
            for n in range(services)
        },
        {
            f"p{n}": replace(
                POOL,
                name=f"p{n}",
                real_servers=tuple(
                    replace(server, address=RIPS + 10 * n + index)
                    for index, server in enumerate(POOL.real_servers)
                ),
            )
            for n in range(services)
        },
    )


def committer(services: int) -> Committer:
    """Return a director's writer over a farm in which each pool has an agent."""
    commits = Committer(MemoryStore())
    commits.commit(PutFarm(farm(services)), {}, "test", ALONE)
    for n in range(services):
        registration = Registration(RIPS + 10 * n, (f"p{n}",))
        commits.commit(RegisterAgent(f"agent{n}", registration), {}, "test", ALONE)
    return commits


CHANGES: dict[str, Changes] = {
    "a service": {ObjectId(Kind.SERVICE, "s1"): replace(SERVICE, vip=VIPS + 999_999)},
    "a service less": {ObjectId(Kind.SERVICE, "s1"): None},
    "a pool": {
        ObjectId(Kind.POOL, "p1"): replace(POOL, real_servers=(replace(SERVER, weight=7),)),
    },
    "an override": {ObjectId(Kind.OVERRIDE, "p1/rs1"): DRAINING},
    "an agent less": {ObjectId(Kind.AGENT, "agent1"): None},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_next_state_costs_what_a_change_changes(changes: Changes) -> None:
    """With all that is derived from it."""

    def step(services: int) -> Callable[[], object]:
        state = committer(services).state
        derived(state)
        return lambda: derived(state.after(changes, state.revision + 1))

    assert_equal_cost(step)


def test_what_a_cycle_shows_costs_what_it_observed() -> None:
    """What is known of the other services is neither gone through nor compared."""

    def cycle(services: int) -> Callable[[], object]:
        keys = {f"s{n}": AddressKey(IpProtocol.TCP, VIPS + n, 80) for n in range(services)}
        views = {key: KeyView(name, KeyState.APPLIED) for name, key in keys.items()}
        health = {name: ServiceHealth(1) for name in keys}
        before = KernelView().after(Cycle(1, None, services=views, health=health), NOW)
        conflict = {keys["s1"]: KeyView("s1", KeyState.CONFLICT, because("adopt it"))}
        partial = Cycle(2, frozenset({"s1"}), services=conflict, health={"s1": ServiceHealth(0)})

        def shown() -> object:
            after = before.after(partial, NOW)
            (event,) = cycle_events(before, partial, after)
            assert EventKind.CONFLICT is event.kind
            return after

        return shown

    assert_equal_cost(cycle)


def assert_equal_cost(prepare: Callable[[int], Callable[[], object]]) -> None:
    """Fail where a call costs more in a farm of more services."""
    prepare(SMALL)()  # fills caches, such as those of regular expressions
    assert executed_lines(prepare(SMALL)) == executed_lines(prepare(LARGE))


def derived(state: State) -> object:
    """Return everything that is derived from a state."""
    return (state.index, state.status.agents_by_pool, state.paths_by_pool, state.requirements)


EDITS: dict[str, Edit] = {
    "the weight of a server": PutRealServer("p1", replace(SERVER, weight=7)),
    "the VIP of a service": PutObject(
        ObjectId(Kind.SERVICE, "s1"), replace(SERVICE, vip=VIPS + 999_999)
    ),
    "a drain": PutOverride(ServerId("p1", "rs1"), DRAINING, force=True),
    "an agent that changes its weight": RegisterAgent(
        "agent1", Registration(SERVER.address, ("p1",), 7)
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_write_costs_what_it_changes(edit: Edit) -> None:
    """From the edit to the step that everybody acts on."""

    def write(services: int) -> Callable[[], object]:
        commits = committer(services)
        return lambda: commits.commit(edit, {}, "test", ALONE)

    assert_equal_cost(write)


def test_a_report_costs_what_it_changes() -> None:
    """What an agent has newly got ready is latched."""

    def write(services: int) -> Callable[[], object]:
        commits = committer(services)
        report = Report(commits.state.farm_id, (SERVICE.vip,), (Tunnel("ipip"),))
        return lambda: commits.commit(AcceptReport("agent1", report), {}, "test", ALONE)

    assert_equal_cost(write)
