"""A director in memory, as strict as the contract: it knows only who registered with it."""

import asyncio
import hashlib
from dataclasses import dataclass, field

from lvsctl.agent.director_client import RegistrationResult
from lvsctl.errors import DirectorUnreachable, LvsctlError, NotFound
from lvsctl.messages.model import Assignment, Membership, Registration, Report, Tunnel, TunnelEnd
from lvsctl.net import IPAddress


@dataclass
class FakeDirector:
    """One director.

    Attributes:
        url: Where it is.
        farm_id: Of its farm.
        vips: What it assigns to every agent.
        tunnels: Likewise.
        tunnel_ends: Likewise.
        error: Raised for every question; None while it is well.
        agents: Who registered, and how last.
        memberships: All memberships in the order in which they were asked for.
        asked: Every question with the loop's time.
        reports: Every report with the loop's time.
        applies: Whether its kernel follows.
        open: Active connections to the agent's host.
        waits: Whether it waits as asked.
        forgets_tags: It sends the assignment again and again.
        named: For whom its assignments are; empty for who asks.
        addresses: Its own.
    """

    url: str = "http://lb1:8080"
    farm_id: str = "f1"
    vips: tuple[IPAddress, ...] = ()
    tunnels: tuple[Tunnel, ...] = (Tunnel("ipip"),)
    tunnel_ends: tuple[TunnelEnd, ...] = ()
    error: LvsctlError | None = None
    agents: dict[str, Registration] = field(default_factory=dict)
    memberships: list[Membership] = field(default_factory=list)
    asked: list[tuple[str, float]] = field(default_factory=list)
    reports: list[tuple[Report, float]] = field(default_factory=list)
    applies: bool = True
    open: int = 0
    waits: bool = True
    forgets_tags: bool = False
    named: str = ""
    addresses: tuple[IPAddress, ...] = ()
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def assign(self, *vips: IPAddress) -> None:
        """Change what is assigned, and wake who waits."""
        self.vips = vips
        self._changed.set()

    def assign_ends(self, *ends: TunnelEnd) -> None:
        """Change which ends of tunnels are assigned, and wake who waits."""
        self.tunnel_ends = ends
        self._changed.set()

    def goes_down(self) -> None:
        """Answer nothing any more; waiting questions are cut off."""
        self.error = DirectorUnreachable(f"{self.url} does not answer: connection refused")
        self._changed.set()

    def comes_back(self) -> None:
        """Answer again."""
        self.error = None

    def forgets_everybody(self) -> None:
        """Lose all agents, and wake who waits."""
        self.agents.clear()
        self._changed.set()

    async def register(
        self, agent: str, registration: Registration, wait_s: int = 0
    ) -> RegistrationResult:
        self._note("register")
        self.agents[agent] = registration
        self.memberships.append(registration.membership)
        if wait_s and not self.applies:
            await asyncio.sleep(wait_s)
            return RegistrationResult(applied=False, reason="mode is observe")
        return RegistrationResult(applied=bool(wait_s), reason="")

    async def assignment(
        self, agent: str, etag: str | None, wait_s: int
    ) -> tuple[str, Assignment] | None:
        self._note("assignment")
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            self._known(agent)
            assignment = Assignment(
                self.farm_id,
                self.named or agent,
                self.vips,
                self.tunnels,
                tunnel_ends=self.tunnel_ends,
            )
            tag = hashlib.sha256(repr(assignment).encode()).hexdigest()
            if tag != etag or self.forgets_tags:
                return tag, assignment
            rest_s = deadline - asyncio.get_running_loop().time()
            if rest_s <= 0 or not self.waits:
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(rest_s):
                    await self._changed.wait()
            except TimeoutError:
                return None
            if self.error is not None:
                raise self.error

    async def report(self, agent: str, report: Report) -> None:
        self._note("report")
        self._known(agent)
        self.reports.append((report, asyncio.get_running_loop().time()))

    async def connections(self, agent: str) -> int:
        self._note("connections")
        self._known(agent)
        return self.open

    async def close(self) -> None:
        """Close nothing."""

    def _note(self, what: str) -> None:
        self.asked.append((what, asyncio.get_running_loop().time()))
        if self.error is not None:
            raise self.error

    def _known(self, agent: str) -> None:
        if agent not in self.agents:
            raise NotFound(f"there is no agent {agent}")
