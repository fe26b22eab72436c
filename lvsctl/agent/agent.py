"""The agent's loop: joins, asks what to be, makes the host so, tells how it is, and may leave.

The event loop talks to directors and watches the time; everything that touches the host or the
disk runs in one worker thread, one call after the other. Whatever a director does or fails to
do, the host stays as last assigned.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from lvsctl.agent.answer import brief
from lvsctl.agent.director_client import DirectorClient
from lvsctl.agent.directors import Backoff, Directors
from lvsctl.agent.faults import Fault, Place, refused_fault, state_fault
from lvsctl.agent.findings import utc
from lvsctl.agent.leave import Leave
from lvsctl.agent.point_to_point import Echo, HostEnds, PointToPoint
from lvsctl.agent.policy import refuse_unidentified, screened
from lvsctl.agent.real_server import Condition, RealServer
from lvsctl.agent.restored_state import RestoredState
from lvsctl.agent.state_dir import Contact, Known, LeaveRequest, StateDir
from lvsctl.errors import (
    DirectorUnreachable,
    InvalidInput,
    LvsctlError,
    NotFound,
    StoreError,
)
from lvsctl.messages.model import Assignment, Finding, Registration, Report, Severity
from lvsctl.sd_notify import feed_watchdog
from lvsctl.worker import Worker

_log = structlog.get_logger()

CHECK_S = 5.0
"""The host is compared at least so often."""
SETTLE_S = 1.0
"""So long after an event on the host it is compared; many events make one comparison."""
LEASE_S = 10.0
"""A report is sent at least so often."""
RETRY_S = 2.0
"""A report that did not arrive is sent again after so long."""
POLL_S = 25
"""A director may keep a question for the assignment so long."""
HASTE_S = 1.0
"""A director that answers "nothing new" sooner is not asked again at once."""
LOOK_S = 1.0
"""A request to leave is looked for so often."""


class Agent:
    """A real server's agent.

    Args:
        name: Unique among the agents.
        registration: What it says of itself.
        directors: Whom to ask.
        server: The host, used in the worker's thread only.
        ends: The tunnels on it to other agents' hosts, used there too.
        echo: Asks an address through a device.
        worker: That thread.
        state: The disk, used there too.
        recalled: What was on it.
        backoff: Pauses between attempts to reach a director.
        now: The present time, in UTC.
        on_checked: Called after the first comparison of the host.
    """

    def __init__(
        self,
        *,
        name: str,
        registration: Registration,
        directors: Directors,
        server: RealServer,
        ends: HostEnds,
        echo: Echo,
        worker: Worker,
        state: StateDir,
        recalled: RestoredState,
        backoff: Backoff,
        now: Callable[[], datetime],
        on_checked: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._registration = registration
        self._directors = directors
        self._server = server
        self._ends = ends
        self._worker = worker
        self._state = state
        self._backoff = backoff
        self._now = now
        self._on_checked = on_checked
        place = Place(name)
        self._lost = [*(state_fault(trouble, place) for trouble in recalled.problems)]
        self._refusals: Sequence[Fault] = ()
        self._assignments = recalled.assignments
        self._saved = recalled.assignments
        self._save_faults: Sequence[Fault] = ()
        self._condition: Condition | None = None
        self._contact = Contact()
        self._etag: str | None = None
        self._joined = False
        self._checking: asyncio.Task[None]
        self._check_due = asyncio.Event()
        self._report_due = asyncio.Event()
        self._tunnels = PointToPoint(echo, now, self._report_due.set)
        self._settling: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until the agent has left; being cancelled changes nothing on the host."""
        async with asyncio.TaskGroup() as group:
            self._checking = group.create_task(self._check_again_and_again())
            reporting = group.create_task(self._report_again_and_again())
            probing = group.create_task(self._tunnels.probe_again_and_again())
            feeding = group.create_task(feed_watchdog(self._worker.responds))
            while True:
                following = group.create_task(self._follow())
                request = await self._leave_requested()
                await _cancelled(following)
                if await self._leave(request):
                    break
                self._joined = False
                if self._checking.done():
                    self._checking = group.create_task(self._check_again_and_again())
            reporting.cancel()
            probing.cancel()
            feeding.cancel()

    def host_changed(self) -> None:
        """Take note that something happened on the host; it is compared soon."""
        if self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._settling = None
        self._check_due.set()

    # The host

    async def _check_again_and_again(self) -> None:
        while True:
            self._check_due.clear()
            try:
                await self._check()
            except Exception as error:  # noqa: BLE001
                # A defect of ours must leave the host serving and the agent reporting.
                _log.exception("the host could not be checked")
                self._checked(Condition(findings=(self._defect(error),)))
            await _within(CHECK_S, self._check_due)

    async def _check(self) -> None:
        await self._worker.run(self._save)
        directors = self._directors.addresses
        faults = [*self._lost, *self._save_faults, *self._refusals]
        condition = await self._worker.run(self._server.check, self._assignments, faults, directors)
        ends = await self._worker.run(self._ends.check, self._assignments, directors)
        self._tunnels.seen(ends)
        self._checked(condition)

    def _checked(self, condition: Condition) -> None:
        if self._condition is None:
            self._on_checked()
        if condition != self._condition:
            self._condition = condition
            self._report_due.set()

    def _defect(self, error: Exception) -> Finding:
        return Finding(
            Severity.BROKEN,
            "agent",
            f"the host of {self._name} could not be checked: {brief(repr(error))}",
            "see the agent's log, and report this as a defect of lvsctl",
            utc(self._now()),
        )

    def _save(self) -> None:
        if self._saved is self._assignments:
            return
        assignments = self._assignments
        try:
            self._state.keep_assignments(assignments)
        except StoreError as error:
            trouble = f"{error}; after a restart the agent would not know what to serve"
            self._save_faults = [state_fault(trouble, Place(self._name))]
            return
        self._saved = assignments
        self._save_faults = ()

    # The directors

    async def _follow(self) -> None:
        while True:
            director = self._directors.current
            try:
                if not self._joined:
                    await self._join(director)
                await self._ask(director)
            except NotFound as error:
                self._joined = False
                self._failed(f"{error}; joining again")
            except LvsctlError as error:
                self._directors.failed(director)
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001
                # A defect of ours: whatever a director answered, this host goes on serving.
                _log.exception("an answer could not be handled", director=director.url)
                self._directors.failed(director)
                self._failed(f"{director.url}: {brief(repr(error))}")
            else:
                self._backoff.reset()
                continue
            await asyncio.sleep(self._backoff.next_s())

    async def _join(self, director: DirectorClient) -> None:
        try:
            await director.register(self._name, self._registration)
        except NotFound as error:
            raise DirectorUnreachable(f"{error}; is this lvsctl's director?") from error
        _log.info("joined", director=director.url, pools=self._registration.pools)
        self._joined = True
        self._etag = None
        self._reached(director)
        self._report_due.set()

    async def _ask(self, director: DirectorClient) -> None:
        loop = asyncio.get_running_loop()
        asked, before = loop.time(), self._assignments
        try:
            answer = await director.assignment(self._name, self._etag, POLL_S)
            self._reached(director)
            if answer is not None:
                etag, assignment = answer
                self._take(assignment)
                self._etag = etag
        except InvalidInput as error:
            self._refused([refused_fault(director.url, brief(str(error)), Place(self._name))])
            # Whatever is answered next is to replace this, and not to be "nothing new".
            self._etag = None
            raise
        if self._assignments is before and loop.time() - asked < HASTE_S:
            # It does not wait as asked; a proxy, perhaps.
            await asyncio.sleep(HASTE_S)

    def _take(self, new: Assignment) -> None:
        held = self._assignments
        refuse_unidentified(new, self._name, held)
        if held.farm_id and new.farm_id != held.farm_id:
            _log.warning("another farm", was=held.farm_id, now=new.farm_id)
            self._joined = False
        if held.is_behind(new):
            told = (new.epoch, new.revision)
            _log.warning("an older state is passed over", epoch_and_revision=told)
        others = [farm for farm in held.farms if farm.farm_id != new.farm_id]
        admitted = screened(new, others, Place(self._name))
        self._refused(admitted.refusals)
        after = held.after(admitted.assignment)
        if after != held:
            _log.info("assigned", vips=[str(vip) for vip in admitted.assignment.vips])
            self._assignments = after
            self._check_due.set()
            self._report_due.set()

    def _refused(self, refusals: Sequence[Fault]) -> None:
        """Take note of what the last assignment asks for and is not done."""
        if tuple(refusals) != tuple(self._refusals):
            for fault in refusals:
                _log.warning("refused", subject=fault.subject, detail=fault.detail)
            self._refusals = refusals
            self._check_due.set()

    def _reached(self, director: DirectorClient) -> None:
        self._contact = Contact(director.url, utc(self._now()))

    def _failed(self, problem: str) -> None:
        if problem != self._contact.problem:
            _log.warning("no director", problem=problem)
            self._contact = replace(self._contact, problem=problem)
            self._report_due.set()

    # The report

    async def _report_again_and_again(self) -> None:
        while True:
            self._report_due.clear()
            pause_s = LEASE_S
            await self._worker.run(self._tell)
            if self._joined and self._condition is not None:
                try:
                    await self._directors.current.report(self._name, self._report())
                except NotFound:
                    self._joined = False
                except LvsctlError:
                    # The question for the assignment meets the same trouble, and tells it.
                    pause_s = RETRY_S
                except Exception:  # noqa: BLE001
                    # A defect of ours must not end the agent.
                    _log.exception("the report could not be sent")
                    pause_s = RETRY_S
            await _within(pause_s, self._report_due)

    def _report(self) -> Report:
        condition = self._condition or Condition()
        return Report(
            self._assignments.farm_id,
            condition.ready,
            condition.tunnels,
            (*condition.findings, *self._tunnels.findings),
            self._tunnels.states(),
        )

    def _tell(self) -> None:
        known = Known(self._name, self._registration, self._report(), self._contact)
        with contextlib.suppress(StoreError):  # told again in a few seconds
            self._state.tell(known)

    # Leaving

    async def _leave_requested(self) -> LeaveRequest:
        while True:
            request = await self._worker.run(self._read_leave_request)
            if request is not None:
                return request
            await asyncio.sleep(LOOK_S)

    def _read_leave_request(self) -> LeaveRequest | None:
        try:
            return self._state.leave_request()
        except StoreError as error:
            _log.error("a request to leave is unreadable and dropped", reason=str(error))
            with contextlib.suppress(StoreError):
                self._state.set_leave_request_aside()
            return None

    async def _leave(self, request: LeaveRequest) -> bool:
        leave = Leave(
            name=self._name,
            registration=self._registration,
            directors=self._directors,
            state=self._state,
            worker=self._worker,
            undo=self._undo,
            say=lambda line: _log.info("leaving", line=line),
        )
        return await leave.carry_out(request)

    async def _undo(self) -> Sequence[Fault]:
        await _cancelled(self._checking)
        return await self._worker.run(undone, self._server, self._ends)


def undone(server: RealServer, ends: HostEnds) -> Sequence[Fault]:
    """Make a host as it was found; return what stood in the way.

    Raises:
        KernelError: The host cannot be observed.
    """
    return (*ends.undo(), *server.undo())


async def _within(timeout_s: float, event: asyncio.Event) -> None:
    """Wait for an event, but not longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
