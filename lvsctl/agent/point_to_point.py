"""Point-to-point tunnels on an agent's host: kept as assigned, probed, reported."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.faults import Fault
from lvsctl.agent.findings import Findings
from lvsctl.errors import InvalidInput, LvsctlError
from lvsctl.farm.tunnels import end_problems
from lvsctl.messages.model import Finding, TunnelEnd, TunnelEndState
from lvsctl.net import IPAddress
from lvsctl.point_to_point.ends import Ends, EndStatus
from lvsctl.point_to_point.window import Window
from lvsctl.reasons import hosts as reasons
from lvsctl.times import format_utc

_log = structlog.get_logger()

PROBE_INTERVAL_S = 1.0
"""Interval between probes of each tunnel's other end, and their timeout."""

Echo = Callable[[IPAddress, str, float], Awaitable[float | None]]
"""Sends an echo request to an address through a device, with a timeout in seconds; returns the
round-trip time in seconds, None without an answer."""


@dataclass(frozen=True, slots=True)
class CheckedEnds:
    """The result of one check of a host's tunnel ends.

    Attributes:
        statuses: The status of each assigned end.
        repaired: What was repaired.
        refused: Ends that this host cannot or must not have.
    """

    statuses: Mapping[TunnelEnd, EndStatus] = field(default_factory=dict)
    repaired: tuple[Fault, ...] = ()
    refused: tuple[Fault, ...] = ()


class HostEnds:
    """The only writer of the tunnel ends on this host. Belongs to one thread, as its host does.

    Args:
        ends: The ends on the host.
        name: The agent's.
        lost: The record of existing ends was damaged.
    """

    def __init__(self, ends: Ends, *, name: str, lost: bool = False) -> None:
        self._ends = ends
        self._name = name
        self._record_lost = lost

    def check(self, assignments: Assignments, directors: Collection[IPAddress] = ()) -> CheckedEnds:
        """Reconcile the ends with the assignments.

        Nothing is changed before the first assignment.

        Args:
            assignments: What is assigned.
            directors: Addresses of directors, whose traffic no tunnel may capture.
        """
        if assignments.current is None:
            return CheckedEnds()
        wanted = {end.link: end for end in assignments.tunnel_ends}
        for link in self._ends.recorded.keys() - wanted.keys():
            try:
                self._ends.take_down(link)
            except LvsctlError as error:
                _log.error("tunnel not removed", device=link, reason=str(error))
        statuses: dict[TunnelEnd, EndStatus] = {}
        repaired: list[Fault] = []
        refused: list[Fault] = []
        for end in wanted.values():
            reason = ""
            try:
                problem = self._bring_up(end, directors)
            except InvalidInput as error:
                reason = "; ".join(problem.detail for problem in error.problems)
                refused.append(self._refusal(end, reason, error))
            except LvsctlError as error:
                reason = str(error)
            else:
                if problem:
                    repaired.append(self._repair_fault(end, problem))
            statuses[end] = self._status(end, reason)
        return CheckedEnds(statuses, tuple(repaired), tuple(refused))

    def undo(self) -> Sequence[Fault]:
        """Remove all ends; return what could not be removed."""
        faults = []
        for link in self._ends.recorded:
            try:
                self._ends.take_down(link)
            except LvsctlError as error:
                faults.append(
                    Fault(reasons.TUNNEL_NOT_REMOVED(link, error=error), f"ip link delete {link}")
                )
        return faults

    def _bring_up(self, end: TunnelEnd, directors: Collection[IPAddress]) -> str:
        """Bring up or repair an end; return what was repaired."""
        problems = list(end_problems(end))
        if problems:
            raise InvalidInput(problems)
        if self._record_lost:
            self._ends.adopt(end)
        return self._ends.bring_up(end, dict.fromkeys(directors, "a director of this agent"))

    def _refusal(self, end: TunnelEnd, reason: str, error: InvalidInput) -> Fault:
        allowed = dict.fromkeys(each.allowed for each in error.problems if each.allowed)
        return Fault(
            reasons.TUNNEL_END_REFUSED(f"tunnel {end.tunnel}", host=self._name, why=reason),
            f"change it with lvsctl apply; allowed: {'; '.join(allowed)}",
        )

    def _repair_fault(self, end: TunnelEnd, problem: str) -> Fault:
        why = reasons.TUNNEL_END_BROKEN(
            end.link, tunnel=end.tunnel, host=self._name, problem=problem
        )
        return Fault(why, "")

    def _status(self, end: TunnelEnd, reason: str) -> EndStatus:
        try:
            status = self._ends.observe(end)
        except LvsctlError as error:
            return EndStatus(None, reason or str(error))
        return EndStatus(status.mtu, reason or status.reason)


class PointToPoint:
    """The state of an agent's tunnels on the event loop: their ends on the host, and the probes.

    Args:
        echo: Sends an ICMP echo request through a device.
        now: Returns the current time, in UTC.
    """

    def __init__(self, echo: Echo, now: Callable[[], datetime]) -> None:
        self._echo = echo
        self._now = now
        self._changed: Callable[[], None] = lambda: None
        self._statuses: Mapping[TunnelEnd, EndStatus] = {}
        self._windows: dict[TunnelEnd, Window] = {}
        self._reported: dict[str, tuple[str, str]] = {}
        self._findings = Findings()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Refused ends and recent repairs."""
        return self._findings.all(self._now())

    def on_change(self, call: Callable[[], None]) -> None:
        """Set what is called when an end comes up or goes down, or the reason changes."""
        self._changed = call

    def update(self, checked: CheckedEnds) -> None:
        """Take over the result of a check."""
        for fault in checked.repaired:
            _log.warning("repaired", subject=fault.subject, detail=fault.detail)
            self._findings.record_repair(fault, self._now())
        self._findings.set_active(checked.refused, self._now())
        self._statuses = checked.statuses
        self._windows = {end: self._windows.get(end, Window()) for end in checked.statuses}
        self._update_states()

    async def probe_loop(self) -> None:
        """Probe the other end of every tunnel, once a second."""
        while True:
            ends = [end for end in self._windows if end.peers]
            answers = await asyncio.gather(asyncio.sleep(PROBE_INTERVAL_S), *map(self._ask, ends))
            for end, answer in zip(ends, answers[1:], strict=True):
                if end in self._windows:
                    self._windows[end].add(answer)
            self._update_states()

    def states(self) -> tuple[TunnelEndState, ...]:
        """Return the state of each end, sorted by tunnel name."""
        states = []
        for end, status in self._statuses.items():
            reason, since = self._reported[end.tunnel]
            probes = self._windows[end].probes
            states.append(
                TunnelEndState(
                    tunnel=end.tunnel,
                    up=not reason,
                    since=since,
                    reason=reason,
                    mtu=status.mtu,
                    round_trip_us=probes.round_trip_us,
                    sent=probes.sent,
                    lost=probes.lost,
                )
            )
        return tuple(sorted(states, key=lambda state: state.tunnel))

    async def _ask(self, end: TunnelEnd) -> float | None:
        try:
            return await self._echo(end.peers[0], end.link, PROBE_INTERVAL_S)
        except OSError as error:
            _log.warning("cannot send an echo request", device=end.link, reason=str(error))
            return None

    def _update_states(self) -> None:
        """Update each end's state and the time of its last change; tell of a change."""
        reported = {}
        for end, status in self._statuses.items():
            reason = status.reason or self._unanswered(end)
            before = self._reported.get(end.tunnel)
            same = before is not None and bool(before[0]) == bool(reason)
            since = before[1] if before is not None and same else format_utc(self._now())
            reported[end.tunnel] = (reason, since)
        changed = {tunnel: reason for tunnel, (reason, _) in reported.items()} != {
            tunnel: reason for tunnel, (reason, _) in self._reported.items()
        }
        self._reported = reported
        if changed:
            self._changed()

    def _unanswered(self, end: TunnelEnd) -> str:
        window = self._windows[end]
        if not end.peers or window.answers:
            return ""
        # Without a duration, so that the reason is stable; the state has the start time.
        return f"no answer from {end.peers[0]} through {end.link}"
