"""When the kernel is compared with the farm, and what the cycles so far have shown."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain

import structlog

from lvsctl.director.clock import Clock
from lvsctl.director.cycles import Cycles
from lvsctl.director.events.cycle import cycle_events, view_events
from lvsctl.director.events.events import Events
from lvsctl.director.live_state import LiveState
from lvsctl.director.mode import OperatingMode
from lvsctl.director.problems import Component, Problems
from lvsctl.director.reconcile.cycle import Cycle, KernelView, KeyState
from lvsctl.director.reconcile.statistics import CycleStatistics
from lvsctl.director.state import State
from lvsctl.director.write.committer import CommitResult
from lvsctl.errors import BoundaryError, StoreError
from lvsctl.reasons import services as reasons
from lvsctl.reasons.general import INTERNAL_ERROR
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done

TIMER_S = 5.0
"""Drift that nobody announced is found within this time."""
LOGGED_REFUSALS = 20
"""Of one cycle; of more only their number is logged."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """Whether an edit has arrived in this director's kernel.

    Attributes:
        applied: Every key that it bears on is as it should be.
        reason: Why not; None where it has.
        key: The virtual service that the reason is about; empty if it is about all.
    """

    applied: bool
    reason: Reason | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """How often cycles were asked for.

    Attributes:
        some: For some services.
        everything: For everything.
    """

    some: int = 0
    everything: int = 0

    def up_to(self, other: "_Asked") -> "_Asked":
        """Return what the one or the other answers."""
        return _Asked(max(self.some, other.some), max(self.everything, other.everything))


class ReconcileLoop:
    """Runs cycles: at every wake for what is dirty, at every timer for everything.

    Everything is compared in slices, and what is dirty goes before each of them: a change waits
    for one slice at most, and a comparison of everything comes to its end whatever is changed.
    Only the first cycle of a director is run in one go. Lives on the director's event loop.

    Args:
        cycles: Runs cycles in the kernel's thread.
        state: What should be.
        mode: Whether it may be made so.
        on_cycle: Told of each cycle with the stored state that it saw; of None where it failed.
        events: Told of what cycles changed and found.
        problems: Told where the disk refused a claim.
        clock: The time of day.
    """

    def __init__(
        self,
        cycles: Cycles,
        *,
        state: LiveState,
        mode: OperatingMode,
        on_cycle: Callable[[State, Cycle | None], None],
        events: Events,
        problems: Problems,
        clock: Clock,
    ) -> None:
        self.view = KernelView()
        self.statistics = CycleStatistics()
        self._cycles = cycles
        self._state = state
        self._mode = mode
        self._on_cycle = on_cycle
        self._events = events
        self._problems = problems
        self._clock = clock
        self._dirty: set[str] = set()
        self._resync = True
        self._wake = asyncio.Event()
        self._next_resync_at = 0.0
        self._asked = _Asked()
        self._answered = _Asked()
        self._partial_cycles_s = 0.0
        self._cycle_ended = asyncio.Condition()
        self._cycle_ended_s: float | None = None

    @property
    def cycle_age_s(self) -> float | None:
        """How long ago the last cycle ended, in s; None before the first."""
        ended_s = self._cycle_ended_s
        return None if ended_s is None else self._clock.monotonic() - ended_s

    async def run(self) -> None:
        """Run cycles until cancelled."""
        while True:
            await self.run_cycle()
            try:
                async with asyncio.timeout_at(self._next_cycle_at()):
                    await self._wake.wait()
            except TimeoutError:
                self._note_what_is_due()

    def wake(self, dirty: frozenset[str] | None) -> None:
        """Have services compared soon; None for everything."""
        if dirty is None:
            self._resync = True
            self._asked = replace(self._asked, everything=self._asked.everything + 1)
        else:
            self._dirty |= dirty
            self._asked = replace(self._asked, some=self._asked.some + 1)
        self._wake.set()

    async def run_cycle(self) -> None:
        """Run one cycle for what is dirty by now, or for everything if that is due."""
        await self._mode.end_expired()
        self._wake.clear()
        if not self._resync:
            await self._run_partial()
        elif self.view.revision < 0:
            await self._run_first()
        else:
            await self._run_resync()

    async def _run_first(self) -> None:
        asked = self._begin_resync()
        self._dirty.clear()
        state, why = self._state.current, self._mode.why_not_enforced
        await self._account_for(
            lambda: self._state.stored, self._cycles.at_once(state, None, why), asked
        )

    async def _run_partial(self) -> None:
        dirty, asked = frozenset(self._dirty), self._asked.some
        self._dirty.clear()
        stored, state = self._state.stored, self._state.current
        began = asyncio.get_running_loop().time()
        await self._account_for(
            lambda: stored,
            self._cycles.at_once(state, dirty, self._mode.why_not_enforced),
            replace(self._answered, some=asked),
        )
        self._partial_cycles_s += asyncio.get_running_loop().time() - began

    async def _run_resync(self) -> None:
        asked = self._begin_resync()
        stored = self._state.stored

        def state() -> State:
            nonlocal stored
            stored = self._state.stored
            return self._state.current

        async def dirty_work() -> None:
            if self._answered.some != self._asked.some:
                await self._run_partial()

        resync = self._cycles.in_slices(state, lambda: self._mode.why_not_enforced, dirty_work)
        await self._account_for(lambda: stored, resync, asked)
        if self._answered == self._asked:
            self._wake.clear()

    def _begin_resync(self) -> "_Asked":
        self._next_resync_at = asyncio.get_running_loop().time() + TIMER_S
        self._resync = False
        return self._asked

    async def _account_for(
        self, stored: Callable[[], State], running: Awaitable[Cycle], asked: "_Asked"
    ) -> None:
        """Wait for a cycle, and tell everyone who waits for it.

        Args:
            stored: Returns the stored state that it saw, once it has ended.
            running: The cycle.
            asked: What it answers.
        """
        began, partial_cycles_s = asyncio.get_running_loop().time(), self._partial_cycles_s
        cycle: Cycle | None = None
        try:
            cycle = await running
        except BoundaryError as error:
            if isinstance(error, StoreError):
                self._problems.report(Component.LOCAL_STATE, error.reason)
            self._failed(error.reason)
        except Exception as error:
            # A defect in lvsctl must leave the kernel serving and the API answering.
            log.exception("cycle failed")
            self._failed(INTERNAL_ERROR(error=repr(error)))
        else:
            now = self._clock.now()
            before, self.view = self.view, self.view.after(cycle, now)
            self._events.emit(*cycle_events(before, cycle, self.view))
            _log_cycle(cycle)
        self._on_cycle(stored(), cycle)
        self._cycle_ended_s = self._clock.monotonic()
        took_s = asyncio.get_running_loop().time() - began
        took_s -= self._partial_cycles_s - partial_cycles_s
        self.statistics = self.statistics.after(cycle, took_s)
        self._answered = self._answered.up_to(asked)
        async with self._cycle_ended:
            self._cycle_ended.notify_all()

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a cycle has ended after which a condition holds, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._cycle_ended:
                await self._cycle_ended.wait_for(condition)

    async def applied(self, written: CommitResult, timeout_s: float) -> Applied:
        """Wait until a cycle that saw an edit left its keys as they should be in this kernel.

        So it is with the paths of probes, where the edit moves them.
        """
        asked = self._asked
        if written.dirty is None:
            asked = _Asked(everything=asked.everything)
        elif not written.moves_probes:
            asked = _Asked(some=asked.some)
        await self.wait_until(lambda: self._verdict(written, asked).applied, timeout_s)
        return self._verdict(written, asked)

    def _verdict(self, written: CommitResult, asked: "_Asked") -> Applied:
        if self.view.error:
            return Applied(applied=False, reason=self.view.error)
        if self._answered.up_to(asked) != self._answered:
            return Applied(applied=False, reason=reasons.NOT_RECONCILED())
        names = self.view.keys if written.dirty is None else written.dirty
        for key, view in chain.from_iterable(map(self.view.of_service, names)):
            if view.state is not KeyState.APPLIED:
                return Applied(applied=False, reason=view.reason, key=str(key))
        return Applied(applied=True)

    def _failed(self, why: Reason) -> None:
        if why != self.view.error:
            log.error("the kernel could not be compared", reason=str(why))
        now = self._clock.now()
        before, self.view = self.view, replace(self.view, at=now, error=why)
        self._events.emit(*view_events(before, self.view))
        self._resync = True

    def _note_what_is_due(self) -> None:
        """Compare services whose weights change by themselves now, or else everything."""
        now = self._clock.now()
        due = {
            name
            for name, health in self.view.health.items()
            if health.next_change and health.next_change <= now
        }
        self._dirty |= due
        if not due or asyncio.get_running_loop().time() >= self._next_resync_at:
            self._resync = True

    def _next_cycle_at(self) -> float:
        """Return when something is due without a wake, on the event loop's clock."""
        now, now_s = self._clock.now(), asyncio.get_running_loop().time()
        moments = (
            now_s + (at - now) / timedelta(seconds=1)
            for at in (self._mode.until, self.view.next_change)
            if at is not None
        )
        return min([self._next_resync_at, *moments])


def _log_cycle(cycle: Cycle) -> None:
    done = [operation for operation, result in cycle.results if isinstance(result, Done)]
    if done:
        log.info("kernel changed", operations=len(done), first=[*map(str, done[:5])])
    refused = [entry for entry in cycle.results if not isinstance(entry[1], Done)]
    for operation, result in refused[:LOGGED_REFUSALS]:
        log.error("kernel refused", operation=str(operation), result=str(result))
    if len(refused) > LOGGED_REFUSALS:
        log.error("kernel refused more", operations=len(refused) - LOGGED_REFUSALS)
