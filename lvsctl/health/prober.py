"""Schedules and runs the probes of all pools, on one event loop."""

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

import structlog

from lvsctl.farm.checks import ExecRequest, HealthCheck, Request
from lvsctl.health.limiter import ProbeLimiter
from lvsctl.health.outcome import Inconclusive, Outcome, ProbeFailed
from lvsctl.health.target import PlannedProbe, ProbeId, Target
from lvsctl.health.verdict import Verdict, first_due_s, next_due_s
from lvsctl.reasons import probes as reasons

log = structlog.get_logger(__name__)

MAX_PROBES = 2048
"""Concurrent probes; each holds a file descriptor."""
MAX_PROGRAMS = 64
"""Concurrent programs; each holds a file descriptor too."""
SLOW_S = 0.25
"""A failed probe that took longer counts as slow for :class:`ProbeLimiter`."""

Probe = Callable[[Request, Target, float], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Result of a planned probe.

    Attributes:
        planned: The probe.
        outcome: How it ended.
        late_s: Delay of its start past its due time.
        began_s: When it began, on the event loop's clock.
    """

    planned: PlannedProbe
    outcome: Outcome
    late_s: float
    began_s: float


@dataclass(frozen=True, slots=True)
class _ProbeKey:
    """Equal checks of equal targets share one probe."""

    check: HealthCheck
    target: Target


@dataclass(slots=True, eq=False)
class _Series:
    """A repeated probe, shared by the planned probes with its key."""

    key: _ProbeKey
    path: AbstractAsyncContextManager[object]
    limiter: ProbeLimiter
    members: dict[ProbeId, PlannedProbe] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    slow: bool = False
    task: asyncio.Task[None] | None = None

    async def due(self, at_s: float) -> None:
        """Wait until a time, or until woken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at_s):
                await self.wake.wait()


class Prober:
    """Probes every target when it is due, and reports the results.

    Planned probes with equal checks and targets share one probe. Two probes with the same source
    port, address and port never run at once: their packets could not be told apart.
    """

    def __init__(
        self,
        probe: Probe,
        report: Callable[[ProbeResult], Verdict],
        random: Callable[[], float],
        connections: int = MAX_PROBES,
    ) -> None:
        """Create a prober without probes, for use on one event loop.

        Args:
            probe: Probes a target once.
            report: Called with each outcome, once per planned probe; returns the resulting
                verdict, which decides when the next probe is due.
            random: Returns a number from 0 to 1.
            connections: Maximum number of concurrent probes.
        """
        self._probe = probe
        self._report = report
        self._random = random
        self._connections, self._programs = ProbeLimiter(connections), ProbeLimiter(MAX_PROGRAMS)
        self._pools: dict[str, dict[PlannedProbe, None]] = {}
        self._series: dict[_ProbeKey, _Series] = {}
        self._paths = weakref.WeakValueDictionary[object, asyncio.Lock]()
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, pool: str, planned: Iterable[PlannedProbe]) -> None:
        """Replace the probes of a pool; unchanged ones keep their schedule."""
        before, after = self._pools.pop(pool, {}), dict.fromkeys(planned)
        for new in after:
            if new not in before:
                self._begin(new)
        for gone in before:
            if gone not in after:
                self._end(gone)
        if after:
            self._pools[pool] = after

    def probe_now(self, planned: Iterable[PlannedProbe]) -> None:
        """Run these probes now instead of when they are due."""
        for each in planned:
            if series := self._series.get(_key(each)):
                series.wake.set()

    async def stop(self) -> None:
        """Stop probing and cancel probes in progress."""
        for pool in list(self._pools):
            self.watch(pool, ())
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, planned: PlannedProbe) -> None:
        key = _key(planned)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._new(key)
        else:
            series.wake.set()  # a target without a verdict does not serve yet
        series.members[planned.id] = planned

    def _end(self, planned: PlannedProbe) -> None:
        series = self._series[_key(planned)]
        if series.members.get(planned.id) == planned:
            del series.members[planned.id]
        if not series.members and series.task is not None:
            del self._series[series.key]
            series.task.cancel()

    def _new(self, key: _ProbeKey) -> _Series:
        is_program = isinstance(key.check.request, ExecRequest)
        limiter = self._programs if is_program else self._connections
        series = _Series(key, self._path(key.target), limiter)
        series.task = asyncio.create_task(self._repeat(series))
        self._tasks.add(series.task)
        series.task.add_done_callback(self._tasks.discard)
        return series

    def _path(self, target: Target) -> AbstractAsyncContextManager[object]:
        """Return a lock for the target's 4-tuple; a no-op if the kernel chooses the source port."""
        if target.source_port is None:
            return contextlib.nullcontext()
        ends = (target.source, target.source_port, target.address, target.port)
        return self._paths.setdefault(ends, asyncio.Lock())

    async def _repeat(self, series: _Series) -> None:
        now_s = asyncio.get_running_loop().time
        due_s = first_due_s(series.key.check, now_s(), self._random)
        await asyncio.sleep(due_s - now_s())
        while True:
            async with series.path, series.limiter.slot(slow=series.slow):
                began_s = now_s()
                outcome = await self._run(series.key)
            series.wake.clear()
            series.slow = isinstance(outcome, ProbeFailed) and outcome.took_s >= SLOW_S
            due_s = self._report_outcome(series, outcome, began_s, due_s)
            await series.due(due_s)
            due_s = min(due_s, now_s())

    async def _run(self, key: _ProbeKey) -> Outcome:
        check = key.check
        try:
            return await self._probe(check.request, key.target, check.timeout_s)
        except Exception as error:  # a bug in a probe must not stop the checking of a server
            log.exception("probe_broke", target=str(key.target), check=check.kind)
            return Inconclusive(reasons.PROBE_DEFECT(error=repr(error)))

    def _report_outcome(
        self, series: _Series, outcome: Outcome, began_s: float, due_s: float
    ) -> float:
        """Report an outcome to every planned probe, and return when the next one is due."""
        check, ended_s = series.key.check, asyncio.get_running_loop().time()
        drawn = self._random()  # once for all: the minimum over many would shorten the interval
        wanted = []
        for planned in list(series.members.values()):
            verdict = self._report(ProbeResult(planned, outcome, began_s - due_s, began_s))
            wanted.append(next_due_s(check, verdict, due_s, ended_s, lambda: drawn))
        return min(wanted, default=ended_s)


def _key(planned: PlannedProbe) -> _ProbeKey:
    return _ProbeKey(replace(planned.check, port=None), planned.target)
