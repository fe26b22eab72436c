"""The ends of point-to-point tunnels on an agent's host: kept as assigned, probed, reported."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.faults import Fault
from lvsctl.agent.findings import Findings, utc
from lvsctl.errors import InvalidInput, LvsctlError
from lvsctl.farm.tunnels import end_problems
from lvsctl.messages.model import Finding, TunnelEnd, TunnelEndState
from lvsctl.net import IPAddress
from lvsctl.point_to_point.ends import Ends, ManagedEnd
from lvsctl.point_to_point.window import Window

_log = structlog.get_logger()

PROBE_EVERY_S = 1.0
"""The other end of each tunnel is asked so often, and may take so long to answer."""

Echo = Callable[[IPAddress, str, float], Awaitable[float | None]]
"""Asks an address through a device, within a time; returns the round trip in seconds."""


@dataclass(frozen=True, slots=True)
class CheckedEnds:
    """What came of one check of the ends on a host.

    Attributes:
        standings: How each assigned end is.
        mended: What was put right.
        refused: Ends that this host cannot or must not have.
    """

    standings: Mapping[TunnelEnd, ManagedEnd] = field(default_factory=dict)
    mended: tuple[Fault, ...] = ()
    refused: tuple[Fault, ...] = ()


class HostEnds:
    """The one writer of the ends on this host. Belongs to one thread, as its host does.

    Args:
        ends: What writes them.
        name: The agent's.
        lost: What was made earlier is unknown, as its record was damaged.
    """

    def __init__(self, ends: Ends, *, name: str, lost: bool = False) -> None:
        self._ends = ends
        self._name = name
        self._lost = lost

    def check(self, assignments: Assignments, directors: Collection[IPAddress] = ()) -> CheckedEnds:
        """Make the host have what is assigned.

        Nothing is touched before a first assignment is known.

        Args:
            assignments: What is assigned.
            directors: Addresses of directors; no tunnel may take what is sent there.
        """
        if assignments.current is None:
            return CheckedEnds()
        wanted = {end.link: end for end in assignments.tunnel_ends}
        for link in self._ends.recorded.keys() - wanted.keys():
            try:
                self._ends.take_down(link)
            except LvsctlError as error:
                _log.error("a tunnel stays", device=link, reason=str(error))
        standings: dict[TunnelEnd, ManagedEnd] = {}
        mended: list[Fault] = []
        refused: list[Fault] = []
        for end in wanted.values():
            reason = ""
            try:
                was = self._keep(end, directors)
            except InvalidInput as error:
                reason = "; ".join(problem.detail for problem in error.problems)
                refused.append(self._refusal(end, reason, error))
            except LvsctlError as error:
                reason = str(error)
            else:
                if was:
                    mended.append(self._mended(end, was))
            standings[end] = self._standing(end, reason)
        return CheckedEnds(standings, tuple(mended), tuple(refused))

    def undo(self) -> Sequence[Fault]:
        """Take all ends away; return what stood in the way."""
        faults = []
        for link in self._ends.recorded:
            try:
                self._ends.take_down(link)
            except LvsctlError as error:
                faults.append(Fault(link, str(error), f"ip link delete {link}"))
        return faults

    def _keep(self, end: TunnelEnd, directors: Collection[IPAddress]) -> str:
        """Make the host have an end; return what was mended of it."""
        problems = list(end_problems(end))
        if problems:
            raise InvalidInput(problems)
        if self._lost:
            self._ends.presume(end)
        return self._ends.bring_up(end, dict.fromkeys(directors, "a director of this agent"))

    def _refusal(self, end: TunnelEnd, reason: str, error: InvalidInput) -> Fault:
        allowed = dict.fromkeys(each.allowed for each in error.problems if each.allowed)
        return Fault(
            f"tunnel {end.tunnel}",
            f"{self._name} does not bring up tunnel {end.tunnel}: {reason}",
            f"change it with lvsctl apply; allowed: {'; '.join(allowed)}",
        )

    def _mended(self, end: TunnelEnd, was: str) -> Fault:
        return Fault(end.link, f"tunnel {end.tunnel} on {self._name}: {was}", "")

    def _standing(self, end: TunnelEnd, reason: str) -> ManagedEnd:
        try:
            standing = self._ends.standing(end)
        except LvsctlError as error:
            return ManagedEnd(None, reason or str(error))
        return ManagedEnd(standing.mtu, reason or standing.reason)


class PointToPoint:
    """The tunnels of an agent on the event loop: what its host has, and who answers.

    Args:
        echo: Asks an address through a device.
        now: The present time, in UTC.
        changed: Called when an end has come up or gone down, or for another reason.
    """

    def __init__(
        self, echo: Echo, now: Callable[[], datetime], changed: Callable[[], None]
    ) -> None:
        self._echo = echo
        self._now = now
        self._changed = changed
        self._standings: Mapping[TunnelEnd, ManagedEnd] = {}
        self._windows: dict[TunnelEnd, Window] = {}
        self._told: dict[str, tuple[str, str]] = {}
        self._findings = Findings()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is refused, and what was mended lately."""
        return self._findings.all(self._now())

    def seen(self, checked: CheckedEnds) -> None:
        """Take note of how the ends are on this host, and of what was mended or refused."""
        for fault in checked.mended:
            _log.warning("mended", subject=fault.subject, detail=fault.detail)
            self._findings.mended(fault, self._now())
        self._findings.standing(checked.refused, self._now())
        self._standings = checked.standings
        self._windows = {end: self._windows.get(end, Window()) for end in checked.standings}
        self._judge()

    async def probe_again_and_again(self) -> None:
        """Ask the other end of every tunnel, once a second."""
        while True:
            ends = [end for end in self._windows if end.peers]
            answers = await asyncio.gather(asyncio.sleep(PROBE_EVERY_S), *map(self._ask, ends))
            for end, answer in zip(ends, answers[1:], strict=True):
                if end in self._windows:
                    self._windows[end].add(answer)
            self._judge()

    def states(self) -> tuple[TunnelEndState, ...]:
        """Return how each end is, by the name of its tunnel."""
        states = []
        for end, standing in self._standings.items():
            reason, since = self._told[end.tunnel]
            probes = self._windows[end].probes
            states.append(
                TunnelEndState(
                    tunnel=end.tunnel,
                    up=not reason,
                    since=since,
                    reason=reason,
                    mtu=standing.mtu,
                    round_trip_us=probes.round_trip_us,
                    sent=probes.sent,
                    lost=probes.lost,
                )
            )
        return tuple(sorted(states, key=lambda state: state.tunnel))

    async def _ask(self, end: TunnelEnd) -> float | None:
        try:
            return await self._echo(end.peers[0], end.link, PROBE_EVERY_S)
        except OSError as error:
            _log.warning("no echo request can be sent", device=end.link, reason=str(error))
            return None

    def _judge(self) -> None:
        """Keep since when each end is as it is, and tell where one has changed."""
        told = {}
        for end, standing in self._standings.items():
            reason = standing.reason or self._silence(end)
            before = self._told.get(end.tunnel)
            same = before is not None and bool(before[0]) == bool(reason)
            since = before[1] if before is not None and same else utc(self._now())
            told[end.tunnel] = (reason, since)
        news = {tunnel: reason for tunnel, (reason, _) in told.items()} != {
            tunnel: reason for tunnel, (reason, _) in self._told.items()
        }
        self._told = told
        if news:
            self._changed()

    def _silence(self, end: TunnelEnd) -> str:
        window = self._windows[end]
        if not end.peers or window.answers:
            return ""
        # Without how long: the state says since when.
        return f"no answer from {end.peers[0]} through {end.link}"
