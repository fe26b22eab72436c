"""A cycle makes anew, and wakes, only the assignments that it may have changed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface
from itertools import permutations

import pytest

from lvsctl.director.agents.assignments import Assignments
from lvsctl.director.reconcile.tunnel_use import TunnelUse
from lvsctl.director.state import State, override_id
from lvsctl.director.write.advance import advance
from lvsctl.director.write.edits import PutFarm, PutRealServer
from lvsctl.farm.model import Farm, Pool, PoolTunnel, RealServer, Settings
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH, AdministrativeState, Agent, Override, Readiness, ServerId
from lvsctl.farm.tunnels import End, Tunnel
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    IpvsTable,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Assignment, Membership, Registration, TunnelMode
from tests.unit import virtual_time
from tests.unit.director.farms import OTHER_VIP, VIP, WEB_ID, WEB_KEY, agent, rip, state, web
from tests.unit.director.test_daemon import Director

OF_WEB = ObjectId(Kind.POOL, "web")
GRE = PoolTunnel(TunnelType.GRE)
RS1, RS2, RS3 = agent(1), replace(agent(2), pools=("mail",)), replace(agent(3), pools=("web",))
MAIL = replace(web(OTHER_VIP), name="mail", pool="mail")
BEFORE = state([web(), MAIL], [Pool("web"), Pool("mail")], agents=[RS1, RS2, RS3])
"""Agents rs1 and rs3 serve web, rs2 serves mail."""
BETWEEN = Tunnel(
    "a2b",
    TunnelMode.IPIP,
    (
        End("rs1", rip(1), (ip_interface("192.168.2.1/24"),)),
        End("rs2", rip(2), (ip_interface("192.168.2.2/24"),)),
    ),
)
ORPHAN: IpvsTable = {
    WEB_KEY: VirtualService(
        VirtualServiceConfig("rr"), {DestinationKey(rip(2), 80): DestinationConfig(1)}
    )
}

CHANGES: Mapping[str, tuple[Changes, set[str]]] = {
    "a declared server": ({OF_WEB: Pool("web", real_servers=(RealServer("rs9", rip(9)),))}, set()),
    "an override": (
        {
            override_id(ServerId("web", "rs1")): Override(
                AdministrativeState.DRAINING, None, "", "", EPOCH
            )
        },
        set(),
    ),
    "settings": ({ObjectId(Kind.SETTINGS): Settings(tcp_timeout_s=60)}, set()),
    "a pool's tunnel": ({OF_WEB: Pool("web", tunnel=GRE)}, {"rs1", "rs3"}),
    "the tunnel of one server": (
        {OF_WEB: Pool("web", real_servers=(RealServer("rs1", rip(1), tunnel=GRE),))},
        {"rs1", "rs3"},
    ),
    "a service's VIP": ({WEB_ID: web(OTHER_VIP)}, {"rs1", "rs3"}),
    "a service's pool": ({WEB_ID: replace(web(), pool="mail")}, {"rs1", "rs2", "rs3"}),
    "a service less": ({WEB_ID: None}, {"rs1", "rs3"}),
    "what an agent is ready for": (
        {
            ObjectId(Kind.AGENT, "rs1"): replace(
                RS1, ready=frozenset({Readiness(VIP, Encapsulation(TunnelType.GRE))})
            )
        },
        {"rs1"},
    ),
    "an agent that leaves": (
        {ObjectId(Kind.AGENT, "rs2"): replace(RS2, membership=Membership.LEFT)},
        {"rs2"},
    ),
    "a tunnel between two hosts": ({ObjectId(Kind.TUNNEL, "a2b"): BETWEEN}, {"rs1", "rs2"}),
}


def told(assignments: Assignments, of: State) -> Mapping[str, tuple[str, Assignment] | None]:
    """Return what all agents are told."""
    return {each.name: assignments.of(each) for each in of.status.agents.values()}


def fresh(of: State, orphaned: IpvsTable, use: TunnelUse) -> Assignments:
    """Return assignments that were never made before."""
    made = Assignments()
    made.on_cycle(of, orphaned, use)
    return made


@pytest.mark.parametrize(("changes", "affected"), CHANGES.values(), ids=CHANGES)
def test_a_change_affects_the_agents_that_it_bears_on(changes: Changes, affected: set[str]) -> None:
    """They alone are woken, and once; what all are told is as if it were made anew."""
    after = BEFORE.after(changes, 2)
    kept = fresh(BEFORE, {}, TunnelUse())
    told(kept, BEFORE)
    kept.on_advance(advance(BEFORE, after, changes, "test"))
    assert not kept.on_cycle(BEFORE, {}, TunnelUse())  # a cycle that had begun before
    assert affected == set(kept.on_cycle(after, {}, TunnelUse()))
    assert told(fresh(after, {}, TunnelUse()), after) == told(kept, after)
    assert not kept.on_cycle(after, {}, TunnelUse())


@pytest.mark.parametrize("pair", [*permutations(CHANGES, 2)], ids=" then ".join)
def test_two_changes_leave_nothing_behind(pair: tuple[str, str]) -> None:
    """Whatever came first."""
    kept, now = fresh(BEFORE, {}, TunnelUse()), BEFORE
    for name in pair:
        told(kept, now)
        changes = CHANGES[name][0]
        then = now.after(changes, now.revision + 1)
        kept.on_advance(advance(now, then, changes, "test"))
        kept.on_cycle(then, {}, TunnelUse())
        now = then
    assert told(fresh(now, {}, TunnelUse()), now) == told(kept, now)


def test_what_the_kernel_still_sends_affects_whom_it_is_sent_to() -> None:
    """An orphaned service and a tunnel in use, when they come and when they go."""
    kept, use = fresh(BEFORE, {}, TunnelUse()), TunnelUse()
    assert {"rs2"} == set(kept.on_cycle(BEFORE, ORPHAN, use))
    used = use.after({rip(3): frozenset({Encapsulation(TunnelType.GRE)})}, 1.0, complete=False)
    assert {"rs3"} == set(kept.on_cycle(BEFORE, ORPHAN, used))
    again = used.after({rip(3): frozenset({Encapsulation(TunnelType.GRE)})}, 2.0, complete=True)
    assert not kept.on_cycle(BEFORE, ORPHAN, again)
    assert told(fresh(BEFORE, ORPHAN, again), BEFORE) == told(kept, BEFORE)
    gone = again.after({}, 100.0, complete=True)
    assert {"rs2", "rs3"} == set(kept.on_cycle(BEFORE, {}, gone))
    assert told(fresh(BEFORE, {}, gone), BEFORE) == told(kept, BEFORE)


def test_another_farm_affects_everybody() -> None:
    """Every assignment names the farm."""
    kept = fresh(BEFORE, {}, TunnelUse())
    other = replace(BEFORE, farm_id="other")
    assert {"rs1", "rs2", "rs3"} == set(kept.on_cycle(other, {}, TunnelUse()))
    assert told(fresh(other, {}, TunnelUse()), other) == told(kept, other)


def test_polls_of_other_agents_are_not_woken(
    director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred agents poll while weights are changed: none is made an assignment."""
    asked: list[str] = []
    of = Assignments.of

    def counted(assignments: Assignments, polling: Agent) -> tuple[str, Assignment] | None:
        asked.append(polling.name)
        return of(assignments, polling)

    async def scenario() -> None:
        daemon = director.daemon
        await daemon.writer.write(
            PutFarm(Farm({"web": web()}, {"web": Pool("web"), "other": Pool("other")})), by="test"
        )
        for number in range(1, 101):
            joins = Registration(rip(number), ("web",))
            await daemon.agents.register(f"rs{number}", joins, by="test")
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(0.1)
        polls = []
        for number in range(1, 101):
            found = await daemon.agents.assignment(f"rs{number}", None, 0)
            assert found is not None
            polls.append(daemon.agents.assignment(f"rs{number}", found[0], 25))
        waiting = [asyncio.create_task(poll) for poll in polls]
        await asyncio.sleep(0.1)
        monkeypatch.setattr(Assignments, "of", counted)
        server = RealServer("rs200", rip(200), weight=7)
        await daemon.writer.write(PutRealServer("web", server), by="test")
        await asyncio.sleep(6)
        assert [] == asked
        running.cancel()
        for task in waiting:
            task.cancel()

    virtual_time.run(scenario())


@pytest.fixture
def director() -> Director:
    return Director()
