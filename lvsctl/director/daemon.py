"""The director at run time, put together from parts that each do one thing.

Everything here runs on the event loop without blocking it: the store, the kernel, and reads for
users each have a worker thread, which created what it uses; only frozen values cross threads.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from lvsctl.director.access.acts import Acts
from lvsctl.director.access.credentials import Credentials
from lvsctl.director.access.refusals import Refusals
from lvsctl.director.agents.edits import LatchReady
from lvsctl.director.agents.sessions import AgentSessions
from lvsctl.director.agents.write_budget import WriteBudget
from lvsctl.director.applied_farm import AppliedFarm
from lvsctl.director.checks.announcer import Announcer
from lvsctl.director.checks.health_checks import HealthChecks
from lvsctl.director.checks.verdicts import Verdicts
from lvsctl.director.clock import Clock, ClockJump
from lvsctl.director.drains.drains import Drains
from lvsctl.director.events.cycle import stored_events
from lvsctl.director.explain import Explanation, Flow, ways_in
from lvsctl.director.kernel_threads import KernelThreads
from lvsctl.director.live_state import LiveState
from lvsctl.director.loop import ReconcileLoop
from lvsctl.director.mode import OperatingMode
from lvsctl.director.own_state import OwnState
from lvsctl.director.problems import Component, DirectorProblem
from lvsctl.director.reconcile.cycle import Cycle, TableReading
from lvsctl.director.self_check import SelfCheck
from lvsctl.director.state import State
from lvsctl.director.write.adoption import latches, refuse_removals
from lvsctl.director.write.advance import Advance
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.follower import Follower
from lvsctl.director.write.writer import Writer
from lvsctl.errors import NotFound, StoreError
from lvsctl.events import Event, EventKind
from lvsctl.health.prober import Probe
from lvsctl.health.target import TargetId
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.table import ServiceKey
from lvsctl.net import IPAddress
from lvsctl.reasons.director import ONLY_PLANNED
from lvsctl.sd_notify import feed_watchdog
from lvsctl.store.interface import Mode
from lvsctl.worker import Worker

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoreThread:
    """The store's thread, and what is used only in it."""

    worker: Worker
    commits: Committer


@dataclass(frozen=True, slots=True)
class Probing:
    """How real servers are probed.

    Attributes:
        probe: Makes one probe of a real server.
        random: Returns a number from 0 to 1.
    """

    probe: Probe
    random: Callable[[], float]


class DirectorDaemon:
    """A director; lives on one event loop.

    Attributes:
        name: Name of this director.
        clock: The time of day and the monotonic clock.
        credentials: Who may use it.
        refusals: Who was refused.
        acts: What people did to this director alone.
        events: What has happened.
        self_check: Finds what is wrong with this director itself.
        mode: Whether it writes its kernel.
        health: Checks the real servers.
        writer: Takes edits of the farm.
        loop: Compares the kernel with the farm.
        agents: The agents of the real servers.
        agent_writes: Takes edits by agents, each within its budget.
        drains: Servers that are being drained.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        store: StoreThread,
        kernel: KernelThreads,
        own_state: OwnState,
        probing: Probing,
        self_check: SelfCheck,
    ) -> None:
        self.name = name
        self.clock = clock
        self.credentials = Credentials(lambda: self._state.stored.tokens, clock.now)
        self.refusals = Refusals(clock.now)
        self.acts = Acts(clock.now)
        self.events = events = self_check.events
        self.self_check = self_check
        self._problems = self_check.problems
        self._kernel = kernel
        self._state = LiveState(store.commits.state, lambda: self.health.verdicts.health, clock.now)
        self._applied_farm = AppliedFarm(own_state.remember)
        self._follower = Follower(
            store.commits,
            store.worker,
            on_advance=self._on_advance,
            on_error=lambda why: self._problems.report(Component.STORE, why),
        )
        kept = own_state.kept
        self.mode = OperatingMode(
            kept.mode, kept.hands_off, own_state.keep_mode, events.emit, clock.now
        )
        self.writer = Writer(
            store.commits, store.worker, self._follower, self._edit_context, self._problems
        )
        self.loop = ReconcileLoop(
            kernel.cycles,
            state=self._state,
            mode=self.mode,
            on_cycle=self._on_cycle,
            events=events,
            problems=self._problems,
            clock=clock,
        )
        self.agent_writes = WriteBudget(self.writer.write, clock.monotonic)
        self.agents = AgentSessions(
            state=self._state,
            write=self.agent_writes.write,
            connections=kernel.active_connections,
            emit=events.emit,
            clock=clock,
        )
        self.drains = Drains(
            state=lambda: self._state.stored,
            count=kernel.open_connections,
            end=lambda edit: self.writer.write(edit, by=f"director {name}"),
            emit=events.emit,
            now=clock.now,
        )
        verdicts = Verdicts(kept.verdicts)
        self.health = HealthChecks(
            verdicts=verdicts,
            announcer=Announcer(
                verdicts, own_state.keep_verdicts, self._on_health_changed, events.emit
            ),
            probe=probing.probe,
            look=lambda ways: kernel.path_problems(self._state.stored, ways),
            findings=self.agents.findings,
            now=clock.now,
            random=probing.random,
        )
        clock.follow(self._on_clock_jump)

    @property
    def state(self) -> State:
        """The farm and its status, as far as the reconciler has been woken for it."""
        return self._state.current

    @property
    def problems(self) -> Mapping[Component, DirectorProblem]:
        """Problems of this director itself."""
        return self._problems.standing

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return self.clock.now()

    async def run(self) -> None:
        """Reconcile, check health, follow drains and keep events until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            tasks.create_task(self.health.run())
            tasks.create_task(self.drains.run())
            tasks.create_task(self.events.run())
            tasks.create_task(feed_watchdog(self._kernel.responds))
            tasks.create_task(self.self_check.run())
            tasks.create_task(self._follower.run())
            tasks.create_task(self._follower.compact())
            tasks.create_task(self._applied_farm.run())

    def wake_for_vips(self, vips: Collection[IPAddress]) -> None:
        """Wake the services of VIPs whose placement can proceed."""
        services = self._state.stored.index.vips
        self.loop.wake(frozenset(name for vip in vips for name in services.get(vip, ())))

    async def close(self) -> None:
        """Store what is not stored yet, when everything else has stopped."""
        with contextlib.suppress(StoreError):
            await self._applied_farm.keep()

    async def table(self) -> TableReading:
        """Read the kernel's table with its counters.

        Raises:
            KernelError: It could not be read.
        """
        return await self._kernel.table()

    async def explain(self, flow: Flow) -> Explanation:
        """Return which real server a client's connection goes to.

        Raises:
            KernelError: The kernel could not be read.
        """
        return await self._kernel.explain(flow, ways_in(self._state.stored, flow))

    async def connections(
        self, wanted: Callable[[Connection], bool], offset: int, limit: int
    ) -> tuple[Sequence[Connection], int | None]:
        """Return a page of the kernel's connections, and where the next page begins.

        Raises:
            KernelError: The kernel could not be read.
        """
        return await self._kernel.connections(wanted, offset, limit)

    async def plan(self) -> Cycle:
        """Compare everything now and write nothing.

        Raises:
            KernelError: The kernel could not be read.
        """
        return await self._kernel.cycles.in_slices(lambda: self.state, ONLY_PLANNED)

    async def set_mode(self, mode: Mode) -> None:
        """Set the mode durably, and act on it.

        Raises:
            StoreError: It could not be stored; the mode is unchanged.
        """
        await self.mode.set(mode)
        self.loop.wake(None)

    async def adopt(
        self, services: Collection[str] | None, *, force: bool, by: str, source: str = ""
    ) -> Sequence[ServiceKey]:
        """Take over foreign virtual services that the farm declares.

        Nothing is deleted or recreated: they are claimed as they are, and edited in place from then
        on.

        Args:
            services: Names of the farm's services; None for all.
            force: Also where the first edit removes destinations.
            by: Who asked for it.
            source: Address that the request came from; empty if there was none.

        Raises:
            NotFound: No service has a given name.
            DrasticChange: It would remove destinations, without ``force``.
            KernelError, StoreError: Nothing was adopted.
        """
        state = self.state
        names = frozenset(state.farm.services if services is None else services)
        for name in names - state.farm.services.keys():
            raise NotFound(f"there is no service {name}")
        adoption = await self._kernel.adoption(state, names)
        latch = LatchReady(latches(adoption, state))
        if not force:
            refuse_removals(adoption, latch, state)
        if latch.ready:
            await self.writer.write(latch, by=by, source=source)
        await self._kernel.adopt(adoption, state)
        log.info("adopted", keys=[*map(str, adoption.owners)], by=by)
        self.loop.wake(names)
        return tuple(adoption.owners)

    def _on_advance(self, step: Advance) -> None:
        """Act on a step of the stored state, by this director or another."""
        self._state.stored = step.after
        log.info(
            "stored",
            revision=step.after.revision,
            by=step.by,
            source=step.source,
            objects=len(step.changes),
            changed=step.changed,
        )
        self.agents.on_advance(step)
        self.events.emit(*stored_events(step))
        self.loop.wake(step.dirty)
        if step.moves_probes:  # a new path is prepared by a comparison of everything only
            self.loop.wake(None)
        self.drains.wake()

    def _on_cycle(self, stored: State, cycle: Cycle | None) -> None:
        """Publish what a cycle found and did; None if it failed."""
        self.agents.note_silence()
        if cycle is None:
            return
        if self.mode.is_hands_off:
            self.agents.note_use(cycle)
        else:
            self.agents.on_cycle(stored, cycle)
            self._applied_farm.applied(stored)
        self.health.on_cycle(stored, cycle)

    def _on_health_changed(self, targets: Collection[TargetId]) -> None:
        """Wake the services of servers whose health changed."""
        served = {(target.pool, target.vip) for target in targets}
        index = self._state.stored.index
        self.loop.wake(frozenset(name for each in served for name in index.serving(*each)))

    def _on_clock_jump(self, jump: ClockJump) -> None:
        """Keep the remaining times of everything that depends on the time of day."""
        log.warning("the clock jumped", what=str(jump))
        self.drains.clock_jumped(jump)
        self.health.clock_jumped(jump)
        self.mode.clock_jumped(jump)
        kept = "drains, pauses and slow starts keep the time that they had left"
        self.events.emit(Event(EventKind.CLOCK_JUMP, detail=f"{jump}; {kept}"))
        self.loop.wake(None)

    def _edit_context(self) -> EditContext:
        now = self.now()
        return EditContext(self.loop.view.addresses_in_use, self.health.verdicts.health, now)
