"""The agent's loop: register, follow the assignment, configure the host, report, leave.

The event loop talks to directors and runs timers; everything that touches the host or the disk
runs in one worker thread, one call at a time. Whatever a director does or fails to do, the host
keeps serving its last assignment.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from lvsctl.agent.director_client import DirectorClient
from lvsctl.agent.directors import Directors
from lvsctl.agent.faults import Fault
from lvsctl.agent.in_effect import AssignmentsInEffect
from lvsctl.agent.leave import Leave
from lvsctl.agent.leave_files import LeaveRequest
from lvsctl.agent.real_server import HostStatus
from lvsctl.agent.served_host import ServedHost
from lvsctl.agent.state_dir import Contact, StateDir, StatusSnapshot
from lvsctl.client.answer import brief
from lvsctl.errors import (
    DirectorUnreachable,
    InvalidInput,
    LvsctlError,
    NotFound,
    StoreError,
)
from lvsctl.messages.model import Assignment, Finding, Registration, Report, Severity
from lvsctl.reasons.hosts import AGENT_DEFECT
from lvsctl.sd_notify import feed_watchdog
from lvsctl.times import format_utc

_log = structlog.get_logger()

CHECK_S = 5.0
"""Longest time between two checks of the host."""
SETTLE_S = 1.0
"""Delay between a kernel event and the check, so that a burst of events causes one check."""
LEASE_S = 10.0
"""Longest time between two reports."""
RETRY_S = 2.0
"""Delay before a failed report is sent again."""
LONG_POLL_S = 25
"""How long a director may hold a request for the assignment open."""
MIN_POLL_S = 1.0
"""Pause before the next poll where a director answers "not modified" without waiting."""
LEAVE_POLL_S = 1.0
"""Interval between checks for a request to leave."""


class Agent:
    """A real server's agent.

    Args:
        name: Unique among the agents.
        registration: What it registers with.
        directors: Where it registers.
        host: What it configures.
        in_effect: What the host has to serve.
        state: The state folder, used in the host's thread only.
        now: Returns the current time, in UTC.
    """

    def __init__(
        self,
        *,
        name: str,
        registration: Registration,
        directors: Directors,
        host: ServedHost,
        in_effect: AssignmentsInEffect,
        state: StateDir,
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._registration = registration
        self._directors = directors
        self._host = host
        self._in_effect = in_effect
        self._state = state
        self._now = now
        self._status: HostStatus | None = None
        self._contact = Contact()
        self._etag: str | None = None
        self._joined = False
        self._checking: asyncio.Task[None]
        self._checked = asyncio.Event()
        self._check_due = asyncio.Event()
        self._report_due = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        host.tunnels.on_change(self._report_due.set)

    async def checked(self) -> None:
        """Return after the first check of the host."""
        await self._checked.wait()

    async def run(self) -> None:
        """Serve until the agent has left; cancelling it leaves the host as it is."""
        async with asyncio.TaskGroup() as group:
            self._checking = group.create_task(self._check_loop())
            reporting = group.create_task(self._report_loop())
            probing = group.create_task(self._host.tunnels.probe_loop())
            feeding = group.create_task(feed_watchdog(self._host.worker.responds))
            while True:
                polling = group.create_task(self._poll_loop())
                request = await self._leave_requested()
                await _cancel(polling)
                if await self._leave(request):
                    break
                self._joined = False
                if self._checking.done():
                    self._checking = group.create_task(self._check_loop())
            reporting.cancel()
            probing.cancel()
            feeding.cancel()

    def host_changed(self) -> None:
        """Schedule a check after a change on the host."""
        if self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(SETTLE_S, self._request_check)

    def _request_check(self) -> None:
        self._settling = None
        self._check_due.set()

    # The host

    async def _check_loop(self) -> None:
        while True:
            self._check_due.clear()
            try:
                await self._check()
            except Exception as error:  # noqa: BLE001
                # A bug in lvsctl must not stop the host serving or the agent reporting.
                _log.exception("the host could not be checked")
                self._update_status(HostStatus(findings=(self._internal_error(error),)))
            await _wait(CHECK_S, self._check_due)

    async def _check(self) -> None:
        await self._host.worker.run(self._in_effect.save)
        status = await self._host.check(
            self._in_effect.assignments, self._in_effect.faults, self._directors.addresses
        )
        self._update_status(status)

    def _update_status(self, status: HostStatus) -> None:
        self._checked.set()
        if status != self._status:
            self._status = status
            self._report_due.set()

    def _internal_error(self, error: Exception) -> Finding:
        why = AGENT_DEFECT("agent", host=self._name, error=brief(repr(error)))
        return Finding(
            Severity.BROKEN,
            why.subject,
            str(why),
            "see the agent's log, and report it as a bug in lvsctl",
            format_utc(self._now()),
            why.code,
        )

    # The directors

    async def _poll_loop(self) -> None:
        while True:
            director = self._directors.current
            try:
                if not self._joined:
                    await self._join(director)
                await self._poll(director)
            except NotFound as error:
                self._joined = False
                self._record_failure(f"{error}; joining again")
            except LvsctlError as error:
                self._directors.failed(director)
                self._record_failure(str(error))
            except Exception as error:  # noqa: BLE001
                # A bug in lvsctl: whatever the director answered, this host keeps serving.
                _log.exception("an answer could not be handled", director=director.url)
                self._directors.failed(director)
                self._record_failure(f"{director.url}: {brief(repr(error))}")
            else:
                self._directors.backoff.reset()
                continue
            await asyncio.sleep(self._directors.backoff.next_s())

    async def _join(self, director: DirectorClient) -> None:
        try:
            await director.register(self._name, self._registration)
        except NotFound as error:
            raise DirectorUnreachable(f"{error}; is this lvsctl's director?") from error
        _log.info("joined", director=director.url, pools=self._registration.pools)
        self._joined = True
        self._etag = None
        self._record_contact(director)
        self._report_due.set()

    async def _poll(self, director: DirectorClient) -> None:
        loop = asyncio.get_running_loop()
        asked, before = loop.time(), self._in_effect.assignments
        try:
            answer = await director.assignment(self._name, self._etag, LONG_POLL_S)
            self._record_contact(director)
            if answer is not None:
                etag, assignment = answer
                self._accept(assignment)
                self._etag = etag
        except InvalidInput as error:
            if self._in_effect.refuse(director.url, error):
                self._check_due.set()
            # The next answer must be a full assignment, not a 304 against the refused one.
            self._etag = None
            raise
        if self._in_effect.assignments is before and loop.time() - asked < MIN_POLL_S:
            # The director did not hold the request open as asked; perhaps a proxy answered.
            await asyncio.sleep(MIN_POLL_S)

    def _accept(self, new: Assignment) -> None:
        before = self._in_effect.assignments
        if self._in_effect.accept(new):
            self._check_due.set()
        if before.farm_id and new.farm_id != before.farm_id:
            self._joined = False
        if self._in_effect.assignments is not before:
            self._report_due.set()

    def _record_contact(self, director: DirectorClient) -> None:
        if self._contact.problem:
            self._report_due.set()  # the status on disk still shows it
        self._contact = Contact(director.url, format_utc(self._now()))

    def _record_failure(self, problem: str) -> None:
        if problem != self._contact.problem:
            _log.warning("director failed", problem=problem)
            self._contact = replace(self._contact, problem=problem)
            self._report_due.set()

    # The report

    async def _report_loop(self) -> None:
        while True:
            self._report_due.clear()
            pause_s = LEASE_S
            # Put together here: in the worker's thread it would be read while it changes.
            await self._host.worker.run(self._save_status, self._snapshot())
            if self._joined and self._status is not None:
                try:
                    await self._directors.current.report(self._name, self._report())
                except NotFound:
                    self._joined = False
                except LvsctlError:
                    # The poll for the assignment fails for the same reason and records it.
                    pause_s = RETRY_S
                except Exception:  # noqa: BLE001
                    # A bug in lvsctl must not stop the agent.
                    _log.exception("the report could not be sent")
                    pause_s = RETRY_S
            await _wait(pause_s, self._report_due)

    def _report(self) -> Report:
        status = self._status or HostStatus()
        return Report(
            self._in_effect.assignments.farm_id,
            status.ready,
            status.tunnels,
            (*status.findings, *self._host.tunnels.findings),
            self._host.tunnels.states(),
        )

    def _snapshot(self) -> StatusSnapshot:
        return StatusSnapshot(self._name, self._registration, self._report(), self._contact)

    def _save_status(self, snapshot: StatusSnapshot) -> None:
        with contextlib.suppress(StoreError):  # written again in a few seconds
            self._state.save_status(snapshot)

    # Leaving

    async def _leave_requested(self) -> LeaveRequest:
        while True:
            request = await self._host.worker.run(self._read_leave_request)
            if request is not None:
                return request
            await asyncio.sleep(LEAVE_POLL_S)

    def _read_leave_request(self) -> LeaveRequest | None:
        try:
            return self._state.leave.request()
        except StoreError as error:
            _log.error("discarded an unreadable request to leave", reason=str(error))
            with contextlib.suppress(StoreError):
                self._state.leave.discard_request()
            return None

    async def _leave(self, request: LeaveRequest) -> bool:
        leave = Leave(
            name=self._name,
            registration=self._registration,
            directors=self._directors,
            state=self._state,
            worker=self._host.worker,
            undo=self._undo,
            say=lambda line: _log.info("leaving", line=line),
        )
        return await leave.run(request)

    async def _undo(self) -> Sequence[Fault]:
        await _cancel(self._checking)
        return await self._host.undo()


async def _wait(timeout_s: float, event: asyncio.Event) -> None:
    """Wait for an event, at most for the timeout."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
