"""Runs the probes of all pools on their schedule, on one event loop."""

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

import structlog

from lvsctl.farm.checks import ExecRequest, HealthCheck, Request
from lvsctl.health.limiter import ProbeLimiter
from lvsctl.health.outcome import Failed, Inconclusive, Outcome
from lvsctl.health.target import Planned, ProbeId, Target
from lvsctl.health.verdict import Verdict, first_due_s, next_due_s

log = structlog.get_logger(__name__)

CONNECTIONS = 2048
"""Probes under way, each with a file descriptor."""
PROGRAMS = 64
"""Programs under way, each with a file descriptor too."""
PATIENCE_S = 0.25
"""A probe that took longer, and failed, has waited for a server that may be dead."""

Probe = Callable[[Request, Target, float], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Report:
    """How a planned probe ended.

    Attributes:
        planned: Which.
        outcome: How.
        late_s: From when it was due until it began.
        began_s: When it began, on the event loop's clock.
    """

    planned: Planned
    outcome: Outcome
    late_s: float
    began_s: float


@dataclass(frozen=True, slots=True)
class _Question:
    """What planned probes have in common that can be one: equal checks of equal targets."""

    check: HealthCheck
    target: Target


@dataclass(slots=True, eq=False)
class _Series:
    """The same probe, again and again, on behalf of some planned ones."""

    question: _Question
    path: AbstractAsyncContextManager[object]
    room: ProbeLimiter
    members: dict[ProbeId, Planned] = field(default_factory=dict)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)
    in_vain: bool = False
    task: asyncio.Task[None] | None = None

    async def due(self, at_s: float) -> None:
        """Wait until a time, or until somebody is in a hurry."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at_s):
                await self.hurried.wait()


class Prober:
    """Asks every target when it is due, and reports what came of it.

    Of planned probes with equal checks and targets one is made for all of them. Two that would
    come from one port to one address and port are never under way at once: nothing could tell
    their packets apart.
    """

    def __init__(
        self,
        probe: Probe,
        report: Callable[[Report], Verdict],
        random: Callable[[], float],
        connections: int = CONNECTIONS,
    ) -> None:
        """Make a prober of nothing, to be used on one event loop.

        Args:
            probe: Asks once.
            report: Is told each outcome, once for each planned probe, and returns the verdict
                that follows from it, by which the next probe is due.
            random: Gives a number from 0 to 1.
            connections: How many probes may be under way at once.
        """
        self._probe = probe
        self._report = report
        self._random = random
        self._connections, self._programs = ProbeLimiter(connections), ProbeLimiter(PROGRAMS)
        self._pools: dict[str, dict[Planned, None]] = {}
        self._series: dict[_Question, _Series] = {}
        self._paths = weakref.WeakValueDictionary[object, asyncio.Lock]()
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, pool: str, planned: Iterable[Planned]) -> None:
        """Make these probes of a pool from now on and no others; what stays keeps its schedule."""
        before, after = self._pools.pop(pool, {}), dict.fromkeys(planned)
        for new in after:
            if new not in before:
                self._begin(new)
        for gone in before:
            if gone not in after:
                self._end(gone)
        if after:
            self._pools[pool] = after

    def hurry(self, planned: Iterable[Planned]) -> None:
        """Make the next of these probes now."""
        for each in planned:
            if series := self._series.get(_question(each)):
                series.hurried.set()

    async def stop(self) -> None:
        """Make no more probes; give up and close those that are under way."""
        for pool in list(self._pools):
            self.watch(pool, ())
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, planned: Planned) -> None:
        question = _question(planned)
        series = self._series.get(question)
        if series is None:
            series = self._series[question] = self._new(question)
        else:
            series.hurried.set()  # a target without a verdict serves nobody
        series.members[planned.id] = planned

    def _end(self, planned: Planned) -> None:
        series = self._series[_question(planned)]
        if series.members.get(planned.id) == planned:
            del series.members[planned.id]
        if not series.members and series.task is not None:
            del self._series[series.question]
            series.task.cancel()

    def _new(self, question: _Question) -> _Series:
        is_program = isinstance(question.check.request, ExecRequest)
        room = self._programs if is_program else self._connections
        series = _Series(question, self._path(question.target), room)
        series.task = asyncio.create_task(self._repeat(series))
        self._tasks.add(series.task)
        series.task.add_done_callback(self._tasks.discard)
        return series

    def _path(self, target: Target) -> AbstractAsyncContextManager[object]:
        """Return what one probe at a time may hold, where two at once would be confused."""
        if target.source_port is None:
            return contextlib.nullcontext()
        ends = (target.source, target.source_port, target.address, target.port)
        return self._paths.setdefault(ends, asyncio.Lock())

    async def _repeat(self, series: _Series) -> None:
        now_s = asyncio.get_running_loop().time
        due_s = first_due_s(series.question.check, now_s(), self._random)
        await asyncio.sleep(due_s - now_s())
        while True:
            async with series.path, series.room.place(in_vain=series.in_vain):
                began_s = now_s()
                outcome = await self._ask(series.question)
            series.hurried.clear()
            series.in_vain = isinstance(outcome, Failed) and outcome.took_s >= PATIENCE_S
            due_s = self._tell(series, outcome, began_s, due_s)
            await series.due(due_s)
            due_s = min(due_s, now_s())

    async def _ask(self, question: _Question) -> Outcome:
        check = question.check
        try:
            return await self._probe(check.request, question.target, check.timeout_s)
        except Exception as error:  # a fault of ours must not end the watch over a server
            log.exception("probe_broke", target=str(question.target), check=check.kind)
            return Inconclusive(f"the probe itself broke: {error!r}")

    def _tell(self, series: _Series, outcome: Outcome, began_s: float, due_s: float) -> float:
        """Report an outcome to all whom it concerns, and return when the next is wanted."""
        check, ended_s = series.question.check, asyncio.get_running_loop().time()
        drawn = self._random()  # for all of them, else the least of many would make it hurry
        wanted = []
        for planned in list(series.members.values()):
            verdict = self._report(Report(planned, outcome, began_s - due_s, began_s))
            wanted.append(next_due_s(check, verdict, due_s, ended_s, lambda: drawn))
        return min(wanted, default=ended_s)


def _question(planned: Planned) -> _Question:
    return _Question(replace(planned.check, port=None), planned.target)
