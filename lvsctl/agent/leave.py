"""Leaving: no new connections, existing ones end, then the host is restored.

A director must confirm every step before the next one. If none does, nothing is undone and the
agent registers again, so that a real server is either wholly in service or wholly out.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from lvsctl.agent.directors import Directors
from lvsctl.agent.faults import Fault
from lvsctl.agent.leave_files import LeaveProgress, LeaveRequest
from lvsctl.agent.state_dir import StateDir
from lvsctl.errors import LvsctlError, NotFound, StoreError
from lvsctl.messages.model import Membership, Registration
from lvsctl.worker import Worker

APPLY_TIMEOUT_S = 5
"""How long a director may take to apply a membership to its kernel."""
ATTEMPTS = 3
"""Attempts at each step."""
PAUSE_S = 1.0
"""Pause between attempts, and between polls of the connection count."""
QUIET_S = 3.0
"""How long the connection count must stay 0. A connection in its handshake or being closed is not
counted as active, but would be cut with its destination."""


class _Unconfirmed(Exception):
    """No director confirmed a membership."""


class Leave:
    """One leave, run by the daemon or by the leave command.

    Args:
        name: The agent's.
        registration: Its registration as a member.
        directors: The directors, which must confirm.
        state: The state folder, used in the worker's thread only.
        worker: That thread.
        undo: Restores the host, and returns what could not be restored.
        say: Prints a progress message.
    """

    def __init__(
        self,
        *,
        name: str,
        registration: Registration,
        directors: Directors,
        state: StateDir,
        worker: Worker,
        undo: Callable[[], Awaitable[Sequence[Fault]]],
        say: Callable[[str], None],
    ) -> None:
        self._name = name
        self._registration = registration
        self._directors = directors
        self._state = state
        self._worker = worker
        self._undo = undo
        self._output = say
        self._progress = LeaveProgress("", ())

    async def run(self, request: LeaveRequest) -> bool:
        """Leave, and answer the request; return whether the host was restored."""
        self._progress = LeaveProgress(request.id, ())
        left = await self._leave(request)
        await self._worker.run(self._finish, left)
        return left

    def _finish(self, left: bool) -> None:  # noqa: FBT001 - passed on as it is
        if left:
            self._state.clear()
        else:
            self._state.leave.delete_request()
        with contextlib.suppress(StoreError):
            self._state.leave.save_progress(replace(self._progress, left=left))

    async def _leave(self, request: LeaveRequest) -> bool:
        try:
            await self._drain(request.deadline_s)
        except _Unconfirmed as unconfirmed:
            if not request.force:
                await self._rejoin(str(unconfirmed))
                return False
            await self._say(f"not confirmed, continuing because of --force: {unconfirmed}")
        try:
            faults = await self._undo()
        except LvsctlError as error:
            await self._say(f"this host cannot be restored: {error}")
            return False
        for fault in faults:
            await self._say(f"not restored: {fault.detail} ({fault.cure})")
        if not faults:
            await self._say("this host is as it was found")
        return not faults

    async def _drain(self, deadline_s: float) -> None:
        await self._confirm(Membership.LEAVING)
        await self._say("no new connections are sent to this host")
        await self._wait_for_connections(deadline_s)
        await self._confirm(Membership.LEFT)
        await self._say("no director sends anything to this host")

    async def _rejoin(self, reason: str) -> None:
        await self._say(f"nothing was undone: {reason}")
        try:
            await self._directors.current.register(self._name, self._registration)
        except LvsctlError as error:
            await self._say(
                f"registering again failed, so this host may get no new connections: {error}"
            )
        else:
            await self._say("this host is a member again, as before")
        await self._say("lvsctl agent leave --force undoes the set-up without confirmation")

    async def _confirm(self, membership: Membership) -> None:
        registration = replace(self._registration, membership=membership)
        reason = ""
        for _ in range(max(ATTEMPTS, len(self._directors))):
            director = self._directors.current
            try:
                stored = await director.register(self._name, registration, APPLY_TIMEOUT_S)
            except LvsctlError as error:
                reason = str(error)
                self._directors.failed(director)
                await asyncio.sleep(PAUSE_S)
            else:
                if stored.applied:
                    return
                reason = f"{director.url} did not apply it to its kernel: {stored.reason}"
        raise _Unconfirmed(reason)

    async def _wait_for_connections(self, deadline_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = quiet_since = loop.time()
        last_count: object = 0
        while (remaining_s := began + deadline_s - loop.time()) > 0:
            count = await self._connections()
            if count not in (0, last_count):
                await self._say(f"{_open(count)}; waiting up to {remaining_s:.0f} s")
            last_count = count
            if count != 0:
                quiet_since = loop.time()
            elif loop.time() - quiet_since >= QUIET_S:
                await self._say("no connection is open")
                return
            await asyncio.sleep(min(PAUSE_S, remaining_s))
        count = await self._connections()
        await self._say(f"{_open(count)} after {deadline_s:g} s; continuing")

    async def _connections(self) -> int | None:
        """Return the number of open connections, None if no director reports it."""
        director = self._directors.current
        try:
            return await director.connections(self._name)
        except NotFound:
            return 0
        except LvsctlError:
            self._directors.failed(director)
            return None

    async def _say(self, line: str) -> None:
        self._output(line)
        self._progress = replace(self._progress, lines=(*self._progress.lines, line))
        with contextlib.suppress(StoreError):  # a full disk; the progress is only for display
            await self._worker.run(self._state.leave.save_progress, self._progress)


def _open(count: int | None) -> str:
    match count:
        case None:
            return "no director reports how many connections are open"
        case 0:
            return "no connection is open"
        case 1:
            return "1 connection is open"
        case _:
            return f"{count} connections are open"
