"""PathMonitor: observations before and after probes decide whether a probe counts."""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from lvsctl.director.checks.path_monitor import (
    AT_MOST_EVERY_S,
    SHARE_OF_TIME,
    PathMonitor,
    PathObservation,
)
from lvsctl.errors import KernelError
from lvsctl.health.marks import ProbeMark, TunnelPath
from lvsctl.health.path import Egress, TunnelProbe
from lvsctl.ipvs.table import Encapsulation, FwmarkKey
from lvsctl.net import Family
from lvsctl.reasons.probes import (
    MARK_JUST_REPAIRED,
    NOT_OBSERVED,
    OBSERVATION_DEFECT,
    OBSERVATION_FAILED,
)
from tests.support.reasons import because
from tests.unit import virtual_time
from tests.unit.director.farms import VIP, rip

DIP = ip_address("192.0.2.10")
LOOK_TAKES_S = 0.05


def way(number: int) -> TunnelProbe:
    path = TunnelPath(Family.IPV4, rip(number), Encapsulation())
    return TunnelProbe(path, ProbeMark(number, 61000 + number), VIP, Egress("eth0", DIP))


ONE, TWO = way(1), way(2)


class Director:
    """The problems of a director, and the observations made of them."""

    def __init__(self) -> None:
        self.wrong: dict[TunnelProbe, object] = {}
        self.broken: Exception | None = None
        self.seen: list[PathObservation] = []
        self.looks = PathMonitor(self._look, self.seen.append)

    async def _look(self, ways: Sequence[TunnelProbe]) -> Mapping[TunnelProbe, str]:
        await asyncio.sleep(LOOK_TAKES_S)
        if self.broken:
            raise self.broken
        return {each: self.wrong.get(each) for each in ways}

    async def look(self) -> float:
        """Request an observation, and return when it ended."""
        count = len(self.seen)
        self.looks.ask()
        while len(self.seen) == count:  # noqa: ASYNC110 - the clock jumps
            await asyncio.sleep(0.001)
        return self.seen[-1].ended_s


def test_a_probe_counts_between_two_observations_without_a_problem() -> None:
    """A probe of a path that was not observed before it began does not count."""

    async def scenario() -> None:
        director = Director()
        director.looks.follow("web", [ONE])
        running = asyncio.create_task(director.looks.run())
        assert not director.looks.have_seen([ONE])
        began = await director.look()
        assert director.looks.have_seen([ONE])
        assert not director.looks.have_seen([ONE, TWO])
        await director.look()
        assert director.looks.problem(ONE, began) is None
        assert NOT_OBSERVED() == director.looks.problem(ONE, began - 0.001)
        assert NOT_OBSERVED() == director.looks.problem(TWO, began)
        running.cancel()

    virtual_time.run(scenario())


def test_a_problem_before_during_or_after_a_probe_counts() -> None:
    """One observation with a problem is enough; problems of other paths do not matter."""

    async def scenario() -> None:
        director = Director()
        director.looks.follow("web", [ONE, TWO])
        running = asyncio.create_task(director.looks.run())
        director.wrong[ONE] = gone = because("gone")
        broken_until = await director.look()
        director.wrong.clear()
        mended = await director.look()
        assert (gone, None) == tuple(
            director.looks.problem(ONE, at) for at in (broken_until, mended)
        )
        assert director.looks.problem(TWO, broken_until) is None
        director.looks.disturbed([FwmarkKey(Family.IPV4, 2)], mended + 0.01)
        await director.look()
        assert MARK_JUST_REPAIRED("fwmark 2") == director.looks.problem(TWO, mended)
        assert director.looks.problem(ONE, mended) is None
        director.broken = KernelError("no table")
        await director.look()
        assert OBSERVATION_FAILED(error="no table") == director.looks.problem(ONE, mended)
        director.broken = ValueError("our own defect")
        await director.look()
        defect = OBSERVATION_DEFECT(error="ValueError('our own defect')")
        assert defect == director.looks.problem(ONE, mended)
        running.cancel()

    virtual_time.run(scenario())


def test_observations_take_a_bounded_share_of_the_time() -> None:
    """However often they are requested."""

    async def scenario() -> None:
        director = Director()
        running = asyncio.create_task(director.looks.run())
        for _ in range(1000):
            director.looks.ask()
            await asyncio.sleep(0.01)
        assert 10 / (LOOK_TAKES_S / SHARE_OF_TIME) == len(director.seen)
        assert AT_MOST_EVERY_S < LOOK_TAKES_S / SHARE_OF_TIME
        running.cancel()

    virtual_time.run(scenario())
