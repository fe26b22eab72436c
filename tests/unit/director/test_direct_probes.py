"""One direct question for all the checks that come to it, and its answer for each of them."""

import asyncio
from ipaddress import IPv4Address

from lvsctl.director.checks.direct_probes import ASK_AGAIN_S, DirectProbes
from lvsctl.director.checks.expand import CheckedServer
from lvsctl.farm.checks import HealthCheck, Request, TcpRequest
from lvsctl.farm.members import Origin, PoolMember
from lvsctl.farm.status import ServerId
from lvsctl.health.outcome import Outcome, Passed
from lvsctl.health.target import ProbeId, Target, TargetId
from lvsctl.ipvs.table import Encapsulation
from tests.unit import virtual_time

RIP, VIP = IPv4Address("192.0.2.11"), IPv4Address("198.51.100.10")
CHECK = HealthCheck(TcpRequest())


def asked(pool: str) -> CheckedServer:
    """Return a question of a pool; each pool has the same server."""
    target = Target(RIP, 80)
    member = PoolMember(ServerId(pool, "rs1"), RIP, 100, Origin.DECLARED, Encapsulation())
    probe = ProbeId.of(TargetId(pool, "rs1", VIP), CHECK, 80)
    return CheckedServer(probe, CHECK, member, None, None, target)


class Asked:
    """A server that passes, and what it was asked."""

    def __init__(self) -> None:
        self.times = 0
        self.told: list[str] = []
        self.probes = DirectProbes(self._probe, lambda each: self.told.append(each.id.target.pool))

    async def _probe(self, request: Request, target: Target, timeout_s: float) -> Outcome:
        assert (TcpRequest(), RIP, CHECK.timeout_s) == (request, target.address, timeout_s)
        self.times += 1
        await asyncio.sleep(0.1)
        return Passed(0.1)


def test_one_question_is_asked_once_for_all() -> None:
    """Each is told, each can read the answer, and who did not ask cannot."""

    async def ask() -> None:
        server = Asked()
        for pool in ("blue", "green"):
            server.probes.ask(asked(pool))
            assert server.probes.is_asking(asked(pool))
        await asyncio.sleep(1)
        assert (1, ["blue", "green"]) == (server.times, server.told)
        said = [server.probes.said(asked(pool)) for pool in ("blue", "green", "red")]
        assert [Passed(0.1), Passed(0.1), None] == said

    virtual_time.run(ask())


def test_one_that_passes_forgets_the_answer_for_itself_alone() -> None:
    """The other goes on with it, until it passes too."""

    async def forget() -> None:
        server = Asked()
        for pool in ("blue", "green"):
            server.probes.ask(asked(pool))
        await asyncio.sleep(1)
        server.probes.forget(asked("blue"))
        assert server.probes.said(asked("blue")) is None
        assert Passed(0.1) == server.probes.said(asked("green"))
        server.probes.forget(asked("green"))
        server.probes.forget(asked("green"))
        server.probes.ask(asked("green"))
        await asyncio.sleep(1)
        assert 2 == server.times

    virtual_time.run(forget())


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    """All passed while it was under way."""

    async def drop() -> None:
        server = Asked()
        server.probes.ask(asked("blue"))
        await asyncio.sleep(0)
        server.probes.forget(asked("blue"))
        await asyncio.sleep(1)
        assert [] == server.told
        assert server.probes.said(asked("blue")) is None

    virtual_time.run(drop())


def test_it_is_asked_again_after_a_while() -> None:
    """Not at each failure."""

    async def again() -> None:
        server = Asked()
        for _ in range(4):
            server.probes.ask(asked("blue"))
            await asyncio.sleep(ASK_AGAIN_S / 2)
        assert 2 == server.times

    virtual_time.run(again())
