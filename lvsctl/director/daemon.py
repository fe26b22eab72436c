"""The director at run time: takes edits, wakes the reconciler, answers what is known.

Everything here runs on the event loop and nothing here blocks it: the store and the kernel each
have one worker thread, which made what it uses, and only frozen values cross.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from lvsctl.director.agents.assignments import Assignments
from lvsctl.director.agents.contacts import AgentWatch, Contact
from lvsctl.director.agents.edits import AcceptReport, LatchReady, RegisterAgent
from lvsctl.director.applied_farm import AppliedFarm
from lvsctl.director.checks.health_checks import HealthChecks
from lvsctl.director.clock import Clock, ClockJump
from lvsctl.director.drains.drains import Drains
from lvsctl.director.events.cycle import cycle_events, stored_events, view_events
from lvsctl.director.events.events import Events
from lvsctl.director.problems import Component, DirectorProblem
from lvsctl.director.reconcile.cycle import Cycle, KernelView, KeyState, TableReading
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.reconcile.statistics import CycleStatistics
from lvsctl.director.reconcile.tunnel_use import TunnelUse
from lvsctl.director.self_check import SelfCheck
from lvsctl.director.state import State
from lvsctl.director.write.adoption import latches, refuse_removals
from lvsctl.director.write.advance import Advance
from lvsctl.director.write.committer import CommitResult, Committer, EditContext
from lvsctl.director.write.edits import Edit
from lvsctl.director.write.follower import Follower
from lvsctl.errors import BoundaryError, NotFound, StoreError, StoreNotAccepted
from lvsctl.events import Event, EventKind
from lvsctl.farm.objects import ObjectId
from lvsctl.health.prober import Probe
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs.table import ServiceKey
from lvsctl.messages.model import Assignment, Registration, Report
from lvsctl.results import Done
from lvsctl.sd_notify import feed_watchdog
from lvsctl.store.interface import LocalState, Mode, ModeName
from lvsctl.worker import Worker

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
        reason: Why not; empty where it has.
    """

    applied: bool
    reason: str = ""


class DirectorDaemon:
    """A director; lives on one event loop.

    Args:
        name: Of this director.
        commits: The state, and the way to change it; used in ``store`` alone.
        store: The store's thread.
        reconciler: The kernel's writer; used in ``kernel`` alone.
        local: This director's own state; used in ``kernel`` alone.
        kernel: The kernel's thread.
        mode: The mode that was kept.
        verdicts: Those that were kept.
        probe: Asks a real server once.
        random: Gives a number from 0 to 1.
        events: Told of what happens.
        self_check: Finds what is wrong with this director itself.
        clock: The time of day.
        hands_off: Why the kernel must stay as it is, whatever the mode; empty where it need not.
    """

    def __init__(
        self,
        *,
        name: str,
        commits: Committer,
        store: Worker,
        reconciler: Reconciler,
        local: LocalState,
        kernel: Worker,
        mode: Mode,
        verdicts: Mapping[ProbeId, KeptVerdict],
        probe: Probe,
        random: Callable[[], float],
        events: Events,
        self_check: SelfCheck,
        clock: Clock,
        hands_off: str = "",
    ) -> None:
        self.name = name
        self.events = events
        self.self_check = self_check
        self._problems = self_check.problems
        self.clock = clock
        self._commits = commits
        self._store = store
        self._reconciler = reconciler
        self._local = local
        self._kernel = kernel
        self._mode = mode
        self._mode_is_kept = True
        self._hands_off = hands_off
        self._applied_farm = AppliedFarm(local, kernel, self._problems)
        self._state = commits.state
        self._view = KernelView()
        self._cycle_ended_s: float | None = None
        self.statistics = CycleStatistics()
        self._assignments: Assignments | None = None
        self._tunnel_use = TunnelUse()
        self._agent_watch = AgentWatch()
        self._dirty: set[str] = set()
        self._resync = True
        self._wake = asyncio.Event()
        self._next_resync_at = 0.0
        self._asked = self._answered = 0
        self._changed = asyncio.Condition()
        self.drains = Drains(
            state=lambda: self._state,
            count=lambda names: kernel.run(reconciler.open_connections, names),
            end=lambda edit: self.write(edit, by=f"director {name}"),
            emit=events.emit,
            now=clock.now,
        )
        self.health = HealthChecks(
            kept=verdicts,
            probe=probe,
            look=lambda ways: kernel.run(reconciler.path_problems, self._state, ways),
            keep=self._keep_verdicts,
            on_health_changed=self._on_health_changed,
            emit=events.emit,
            findings=self._findings,
            now=clock.now,
            random=random,
        )
        self._follower = Follower(
            commits,
            store,
            on_advance=self._advanced,
            on_error=lambda why: self._problems.report(Component.STORE, why),
        )
        clock.follow(self._clock_jumped)

    @property
    def state(self) -> State:
        """The farm and its status, as far as the reconciler has been woken for it."""
        now = self.now()  # first: what is known of health moves with it
        return self._state.seen(self.health.verdicts.health, now)

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return self.clock.now()

    def _clock_jumped(self, jump: ClockJump) -> None:
        """Let everything that goes by the time of day keep the time that it had left."""
        log.warning("the clock jumped", what=str(jump))
        self.drains.clock_jumped(jump)
        self.health.clock_jumped(jump)
        if self._mode.until:
            self._mode = replace(self._mode, until=jump.moved(self._mode.until, self._mode.since))
            self._mode_is_kept = False
        kept = "drains, pauses and slow starts keep the time that they had left"
        self.events.emit(Event(EventKind.CLOCK_JUMP, detail=f"{jump}; {kept}"))
        self.wake(None)

    @property
    def mode(self) -> Mode:
        """What this director may do."""
        return Mode(ModeName.OBSERVE, self._hands_off) if self._hands_off else self._mode

    @property
    def view(self) -> KernelView:
        """What the cycles so far have shown."""
        return self._view

    @property
    def cycle_age_s(self) -> float | None:
        """How long ago the last cycle ended, in s; None before the first."""
        return None if self._cycle_ended_s is None else self.clock.monotonic() - self._cycle_ended_s

    @property
    def problems(self) -> Mapping[Component, DirectorProblem]:
        """What is wrong with this director itself."""
        return self._problems.standing

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The last sign of life of each agent since this director started."""
        return self._agent_watch.contacts

    async def run(self) -> None:
        """Reconcile, check health, follow drains and keep events until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reconcile())
            tasks.create_task(self.health.run())
            tasks.create_task(self.drains.run())
            tasks.create_task(self.events.run())
            tasks.create_task(feed_watchdog(self._kernel.responds))
            tasks.create_task(self.self_check.run())
            tasks.create_task(self._follower.run())
            tasks.create_task(self._follower.compact())
            tasks.create_task(self._applied_farm.run())

    async def close(self) -> None:
        """Keep what is not kept yet; once nothing runs any more."""
        with contextlib.suppress(StoreError):
            await self._applied_farm.keep()

    async def _reconcile(self) -> None:
        """Run cycles: at every wake what is dirty, at every timer everything."""
        while True:
            await self.run_cycle()
            try:
                async with asyncio.timeout_at(self._look_again_at()):
                    await self._wake.wait()
            except TimeoutError:
                self._note_what_is_due()

    def _note_what_is_due(self) -> None:
        """Look at services whose weights change by themselves now, or else at everything."""
        now = self.now()
        due = {
            name
            for name, health in self._view.health.items()
            if health.next_change and health.next_change <= now
        }
        self._dirty |= due
        if not due or asyncio.get_running_loop().time() >= self._next_resync_at:
            self._resync = True

    async def run_cycle(self) -> None:
        """Run one cycle for what is dirty by now, and tell everyone who waits for it."""
        await self._end_expired_mode()
        dirty = None if self._resync else frozenset(self._dirty)
        if dirty is None:
            self._next_resync_at = asyncio.get_running_loop().time() + TIMER_S
        self._resync = False
        self._dirty.clear()
        self._wake.clear()
        asked, stored, state = self._asked, self._state, self.state
        began = asyncio.get_running_loop().time()
        cycle: Cycle | None = None
        try:
            cycle = await self._kernel.run(
                self._reconciler.cycle, state, dirty, self._why_not_enforced()
            )
        except BoundaryError as error:
            if isinstance(error, StoreError):
                self._problems.report(Component.LOCAL_STATE, str(error))
            self._cycle_failed(str(error))
        except Exception as error:
            # A defect of ours must leave the kernel serving and the API answering.
            log.exception("cycle failed")
            self._cycle_failed(f"internal error: {error!r}; the journal has the details")
        else:
            now = self.now()
            seen, self._view = self._view, self._view.after(cycle, now)
            self.events.emit(*cycle_events(seen, cycle, self._view))
            self._tunnel_use = self._tunnel_use.after(
                cycle.tunnels, asyncio.get_running_loop().time(), complete=dirty is None
            )
            if not self._hands_off:
                self._assignments = Assignments(stored, cycle.orphaned, self._tunnel_use)
                self._applied_farm.applied(stored)
            self.health.on_cycle(stored, cycle)
            _log_cycle(cycle)
        self._cycle_ended_s = self.clock.monotonic()
        took_s = asyncio.get_running_loop().time() - began
        self.statistics = self.statistics.after(cycle, took_s)
        self.events.emit(*self._agent_watch.look(self._state.status.agents, self.clock.monotonic()))
        self._answered = asked
        async with self._changed:
            self._changed.notify_all()

    def _cycle_failed(self, why: str) -> None:
        if why != self._view.error:
            log.error("the kernel could not be compared", reason=why)
        now = self.now()
        seen, self._view = self._view, replace(self._view, at=now, error=why)
        self.events.emit(*view_events(seen, self._view))
        self._resync = True

    def wake(self, dirty: frozenset[str] | None) -> None:
        """Have services looked at soon; None for everything."""
        if dirty is None:
            self._resync = True
        else:
            self._dirty |= dirty
        self._asked += 1
        self._wake.set()

    async def write(
        self, edit: Edit, *, by: str, expect: Mapping[ObjectId, int] | None = None
    ) -> CommitResult:
        """Store an edit and wake the reconciler.

        Raises:
            InvalidInput, NotFound, StaleRevision, Conflict, StoreError: Nothing was stored.
        """
        try:
            written = await self._store.run(
                self._commits.commit, edit, expect or {}, by, self._edit_context()
            )
        except StoreNotAccepted:
            raise
        except StoreError as error:
            self._problems.report(Component.STORE, str(error))
            raise
        finally:
            self._follower.take_in()
        if written.changed:
            self._problems.clear(Component.STORE)
        return written

    def _advanced(self, step: Advance) -> None:
        """Act on a step of the stored state, whoever made it."""
        self._state = step.after
        log.info("stored", revision=step.after.revision, by=step.by, objects=len(step.changes))
        self._agent_watch.forget(step.before.status.agents.keys() - step.after.status.agents.keys())
        self.events.emit(*stored_events(step))
        # A new path for probes is prepared by a look at everything only.
        self.wake(None if step.moves_probes else step.dirty)
        self.drains.wake()

    async def dry_run(
        self, edit: Edit, *, expect: Mapping[ObjectId, int] | None = None
    ) -> CommitResult:
        """Check an edit as :meth:`write` does and say what it would do."""
        return await self._store.run(
            self._commits.dry_run, edit, expect or {}, self._edit_context()
        )

    def _edit_context(self) -> EditContext:
        now = self.now()
        return EditContext(self._view.addresses_in_use, self.health.verdicts.health, now)

    def _on_health_changed(self, targets: Collection[TargetId]) -> None:
        """Have the services of servers looked at whose health became another."""
        served = {(target.pool, target.vip) for target in targets}
        services = self._state.farm.services
        self.wake(
            frozenset(
                name for name, service in services.items() if (service.pool, service.vip) in served
            )
        )

    def _findings(self, agent: str) -> Sequence[str]:
        """Return what an agent has found wrong on its host, oldest first."""
        contact = self.contacts.get(agent)
        findings = contact.report.findings if contact else ()
        return [f"{each.subject}: {each.detail} ({each.severity}, {each.at})" for each in findings]

    async def applied(self, written: CommitResult, timeout_s: float) -> Applied:
        """Wait until a cycle that saw an edit left its keys as they should be in this kernel."""
        asked = self._asked
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._verdict(written, asked).applied)
        return self._verdict(written, asked)

    def _verdict(self, written: CommitResult, asked: int) -> Applied:
        if self._view.error:
            return Applied(applied=False, reason=self._view.error)
        if self._answered < asked:
            return Applied(applied=False, reason="the reconciler has not come to it yet")
        for key, view in self._view.services.items():
            concerned = written.dirty is None or view.service in written.dirty
            if concerned and view.state is not KeyState.APPLIED:
                return Applied(applied=False, reason=f"{key}: {view.reason}")
        return Applied(applied=True)

    async def table(self) -> TableReading:
        """Read the kernel's table with its counters.

        Raises:
            KernelError: It could not be read.
        """
        return await self._kernel.run(self._reconciler.table)

    async def plan(self) -> Cycle:
        """Compare everything now and write nothing.

        Raises:
            KernelError: The kernel could not be read.
        """
        return await self._kernel.run(self._reconciler.cycle, self.state, None, "only looked at")

    async def set_mode(self, mode: Mode) -> None:
        """Keep a mode, durably, and act on it.

        Raises:
            StoreError: It could not be kept; the mode is as before.
        """
        if self._hands_off:
            raise StoreNotAccepted(self._hands_off)
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(self._local.set_mode, mode)
        self._mode = mode
        log.warning("mode set", mode=str(mode.name), reason=mode.reason, by=mode.by)
        self.events.emit(Event(EventKind.MODE, str(mode.name), mode.reason, by=mode.by))
        self.wake(None)

    async def _end_expired_mode(self) -> None:
        now = self.now()
        if self._mode.until is not None and self._mode.until <= now:
            log.warning("pause has ended", reason=self._mode.reason)
            ended = Event(EventKind.MODE, str(ModeName.ENFORCE), "the pause is over")
            self.events.emit(ended)
            self._mode, self._mode_is_kept = Mode(), False
        if not self._mode_is_kept:
            self._mode_is_kept = True
            with contextlib.suppress(StoreError), self._problems.watching(Component.LOCAL_STATE):
                await self._kernel.run(self._local.set_mode, self._mode)

    async def _keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(self._local.keep_verdicts, changes)

    def _look_again_at(self) -> float:
        """Return when something is due without a wake, on the event loop's clock."""
        now, now_s = self.now(), asyncio.get_running_loop().time()
        moments = (
            now_s + (at - now) / timedelta(seconds=1)
            for at in (self._mode.until, self._view.next_change)
            if at is not None
        )
        return min([self._next_resync_at, *moments])

    def _why_not_enforced(self) -> str:
        if self._hands_off:
            return self._hands_off
        if self._mode.name is ModeName.ENFORCE:
            return ""
        until = f" until {self._mode.until:%Y-%m-%dT%H:%M:%SZ}" if self._mode.until else ""
        reason = f": {self._mode.reason}" if self._mode.reason else ""
        return f"this director only observes{until}{reason}; lvsctl resume ends it"

    async def adopt(
        self, services: Collection[str] | None, *, force: bool, by: str
    ) -> Sequence[ServiceKey]:
        """Take over virtual services that somebody else created and the farm wants.

        Nothing is deleted or made anew: they are ours as they are, and edited in place from then
        on.

        Args:
            services: Names of the farm's services; None for all.
            force: Also where the first edit removes destinations.
            by: Who asked for it.

        Raises:
            NotFound: A name is no service of the farm.
            DrasticChange: It would remove destinations and is not forced.
            KernelError, StoreError: Nothing was adopted.
        """
        state = self.state
        names = frozenset(state.farm.services if services is None else services)
        for name in names - state.farm.services.keys():
            raise NotFound(f"there is no service {name}")
        adoption = await self._kernel.run(self._reconciler.adoption, state, names)
        latch = LatchReady(latches(adoption, state))
        if not force:
            refuse_removals(adoption, latch, state)
        if latch.ready:
            await self.write(latch, by=by)
        await self._kernel.run(self._reconciler.adopt, adoption, state)
        log.info("adopted", keys=[*map(str, adoption.owners)], by=by)
        self.wake(names)
        return tuple(adoption.owners)

    async def register(self, name: str, registration: Registration, *, by: str) -> CommitResult:
        """Let an agent join, change, leave, or be gone.

        Raises:
            InvalidInput, Conflict, StoreError: Nothing was stored.
        """
        return await self.write(RegisterAgent(name, registration), by=by)

    async def report(self, name: str, report: Report) -> None:
        """Take note of what an agent sees, and latch what is newly ready.

        Raises:
            NotFound: The agent is not registered.
            StoreError: What is newly ready could not be stored.
        """
        edit = AcceptReport(name, report)
        changes = edit.changes(self.state)
        self.events.emit(*self._agent_watch.record_report(name, report, self.clock.monotonic()))
        if any(self.state.value(object_id) != value for object_id, value in changes.items()):
            await self.write(edit, by=f"agent {name}")

    async def assignment(
        self, name: str, known_etag: str | None, wait_s: float
    ) -> tuple[str, Assignment] | None:
        """Return what an agent's host should be, with its entity tag, once it differs.

        None where it is what the agent knows, and stays so for ``wait_s``.

        Raises:
            NotFound: The agent is not registered.
        """

        def news() -> tuple[str, Assignment] | None:
            agent = self.state.status.agents.get(name)
            if agent is None:
                raise NotFound(f"there is no agent {name}")
            found = self._assignments.of(agent) if self._assignments else None
            return found if found and found[0] != known_etag else None

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: news() is not None)
        return news()

    async def connections(self, agent: str) -> int:
        """Return the active connections to an agent's address in all services of ours.

        Raises:
            NotFound: The agent is not registered.
            KernelError: The table could not be read.
        """
        known = self.state.status.agents.get(agent)
        if known is None:
            raise NotFound(f"there is no agent {agent}")
        return await self._kernel.run(self._reconciler.connections, known.address)


def _log_cycle(cycle: Cycle) -> None:
    done = [operation for operation, result in cycle.results if isinstance(result, Done)]
    if done:
        log.info("kernel changed", operations=len(done), first=[*map(str, done[:5])])
    refused = [entry for entry in cycle.results if not isinstance(entry[1], Done)]
    for operation, result in refused[:LOGGED_REFUSALS]:
        log.error("kernel refused", operation=str(operation), result=str(result))
    if len(refused) > LOGGED_REFUSALS:
        log.error("kernel refused more", operations=len(refused) - LOGGED_REFUSALS)
