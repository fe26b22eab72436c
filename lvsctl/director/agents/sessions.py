"""The sessions of agents with this director: registration, reports and assignments."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from lvsctl.director.agents.assignments import Assignments
from lvsctl.director.agents.contacts import AgentWatch, Contact
from lvsctl.director.agents.edits import AcceptReport, RegisterAgent
from lvsctl.director.clock import Clock
from lvsctl.director.live_state import LiveState
from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.tunnel_use import TunnelUse
from lvsctl.director.state import State
from lvsctl.director.write.advance import Advance
from lvsctl.director.write.committer import CommitResult
from lvsctl.director.write.edits import Edit
from lvsctl.errors import NotFound
from lvsctl.farm.objects import Kind
from lvsctl.farm.status import Agent
from lvsctl.messages.model import Assignment, Registration, Report
from lvsctl.net import IPAddress


class Write(Protocol):
    """Stores an edit."""

    def __call__(self, edit: Edit, *, by: str, source: str = "") -> Awaitable[CommitResult]:
        """Store an edit, with its author."""
        ...


class AgentSessions:
    """The agents of one director; used on its event loop.

    Args:
        state: Returns the present state.
        write: Stores their edits.
        connections: Counts the active connections to an address over all of lvsctl's services.
        emit: Called with events when agents are lost, return, or report findings.
        clock: The monotonic clock, by which silence is measured.
    """

    def __init__(
        self,
        *,
        state: LiveState,
        write: Write,
        connections: Callable[[IPAddress], Awaitable[int]],
        emit: Callable[..., None],
        clock: Clock,
    ) -> None:
        self._state = state
        self._write = write
        self._connections = connections
        self._emit = emit
        self._clock = clock
        self._watch = AgentWatch()
        self._tunnel_use = TunnelUse()
        self._assignments = Assignments()
        self._polls: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The last report of each agent since this director started."""
        return self._watch.contacts

    def findings(self, agent: str) -> Sequence[str]:
        """Return the findings in an agent's last report, oldest first."""
        contact = self.contacts.get(agent)
        findings = contact.report.findings if contact else ()
        return [f"{each.subject}: {each.detail} ({each.severity}, {each.at})" for each in findings]

    def on_advance(self, step: Advance) -> None:
        """Note the agents that a step of the stored state affects or removes."""
        self._assignments.on_advance(step)
        names = {each.name for each in step.changes if each.kind is Kind.AGENT}
        self._watch.forget(names - step.after.status.agents.keys())

    def on_cycle(self, stored: State, cycle: Cycle) -> None:
        """Update assignments after a cycle.

        Only agents whose assignment may have changed are woken.
        """
        self.note_use(cycle)
        for name in self._assignments.on_cycle(stored, cycle.orphaned, self._tunnel_use):
            for woken in self._polls.get(name, ()):
                woken.set()

    def note_use(self, cycle: Cycle) -> None:
        """Note the encapsulations that the kernel uses."""
        self._tunnel_use = self._tunnel_use.after(
            cycle.tunnels, asyncio.get_running_loop().time(), complete=cycle.is_complete
        )

    def note_silence(self) -> None:
        """Emit events for agents that have been silent for too long."""
        lost = self._watch.look(self._state.stored.status.agents, self._clock.monotonic())
        self._emit(*lost)

    async def register(
        self, name: str, registration: Registration, *, by: str, source: str = ""
    ) -> CommitResult:
        """Register an agent: join, change, leaving, or left.

        Raises:
            InvalidInput, Conflict, TooManyRequests, StoreError: Nothing was stored.
        """
        return await self._write(RegisterAgent(name, registration), by=by, source=source)

    async def report(self, name: str, report: Report, *, by: str, source: str = "") -> None:
        """Record an agent's report, and latch what is newly ready.

        Args:
            name: Of the agent.
            report: Its report.
            by: Who sent it: the agent, or an administrator in its place.
            source: Address that the request came from; empty if there was none.

        Raises:
            NotFound: The agent is not registered.
            TooManyRequests, StoreError: What is newly ready could not be stored.
        """
        edit = AcceptReport(name, report)
        state = self._state.current
        changes = edit.changes(state)
        self._emit(*self._watch.record_report(name, report, self._clock.monotonic()))
        if any(state.value(object_id) != value for object_id, value in changes.items()):
            await self._write(edit, by=by, source=source)

    async def assignment(
        self, name: str, known_etag: str | None, wait_s: float
    ) -> tuple[str, Assignment] | None:
        """Return an agent's assignment with its entity tag, once it differs.

        None if it is the one that the agent has, and does not change within ``wait_s``.

        Raises:
            NotFound: The agent is not registered.
        """

        def changed() -> tuple[str, Assignment] | None:
            found = self._assignments.of(self._agent(name))
            return found if found and found[0] != known_etag else None

        woken, polls = asyncio.Event(), self._polls[name]
        polls.add(woken)
        try:
            async with asyncio.timeout(wait_s):
                while (found := changed()) is None:
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            return changed()
        finally:
            polls.discard(woken)
            if not polls:
                self._polls.pop(name, None)
        return found

    async def connections(self, name: str) -> int:
        """Return the active connections to an agent's address over all of lvsctl's services.

        Raises:
            NotFound: The agent is not registered.
            KernelError: The table could not be read.
        """
        return await self._connections(self._agent(name).address)

    def _agent(self, name: str) -> Agent:
        agent = self._state.stored.status.agents.get(name)
        if agent is None:
            raise NotFound(f"there is no agent {name}")
        return agent
