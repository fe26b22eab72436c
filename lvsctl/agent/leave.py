"""The way out: no new connections, the old ones end, and then the host is as it was found.

Every step is confirmed by a director before the next one. Where none confirms, nothing is undone
and the agent is joined again, so that a real server is either wholly in or wholly out.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from lvsctl.agent.directors import Directors
from lvsctl.agent.faults import Fault
from lvsctl.agent.state_dir import LeaveProgress, LeaveRequest, StateDir
from lvsctl.errors import LvsctlError, NotFound, StoreError
from lvsctl.messages.model import Membership, Registration
from lvsctl.worker import Worker

APPLY_WITHIN_S = 5
"""A director may take so long to bring a membership into its kernel."""
ATTEMPTS = 3
"""So often each step is asked for."""
PAUSE_S = 1.0
"""Between attempts, and between looks at the connections."""
QUIET_S = 3.0
"""No connection must be seen for so long. One whose handshake is on its way when the last SYN was
let in, or that is being closed, is not among the open ones, and is cut with its destination."""


class _Unconfirmed(Exception):
    """No director confirmed a membership."""


class Leave:
    """One leave, as the daemon or a command carries it out.

    Args:
        name: The agent's.
        registration: What it says of itself while it is joined.
        directors: Who must confirm.
        state: The disk, used in the worker's thread only.
        worker: That thread.
        undo: Makes the host as it was found, and returns what stood in the way.
        say: Tells a person what happens.
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
        self._tell = say
        self._progress = LeaveProgress("", ())

    async def carry_out(self, request: LeaveRequest) -> bool:
        """Leave, and answer the request; return whether the host is as it was found."""
        self._progress = LeaveProgress(request.id, ())
        left = await self._leave(request)
        await self._worker.run(self._answer, left)
        return left

    def _answer(self, left: bool) -> None:  # noqa: FBT001 - passed on as it is
        if left:
            self._state.clear()
        else:
            self._state.drop_leave_request()
        with contextlib.suppress(StoreError):
            self._state.keep_leave_progress(replace(self._progress, left=left))

    async def _leave(self, request: LeaveRequest) -> bool:
        try:
            await self._leave_the_directors(request.deadline_s)
        except _Unconfirmed as unconfirmed:
            if not request.force:
                await self._stay(str(unconfirmed))
                return False
            await self._say(f"not confirmed, and going on as --force asks: {unconfirmed}")
        try:
            faults = await self._undo()
        except LvsctlError as error:
            await self._say(f"this host cannot be put back: {error}")
            return False
        for fault in faults:
            await self._say(f"not put back: {fault.detail} ({fault.cure})")
        if not faults:
            await self._say("this host is as it was found")
        return not faults

    async def _leave_the_directors(self, deadline_s: float) -> None:
        await self._confirmed(Membership.LEAVING)
        await self._say("no new connections come to this host")
        await self._connections_ended(deadline_s)
        await self._confirmed(Membership.LEFT)
        await self._say("no director sends anything to this host")

    async def _stay(self, reason: str) -> None:
        await self._say(f"nothing was undone: {reason}")
        try:
            await self._directors.current.register(self._name, self._registration)
        except LvsctlError as error:
            await self._say(f"this host may still be without new connections: {error}")
        else:
            await self._say("this host is joined as before")
        await self._say("lvsctl agent leave --force undoes the set-up without confirmation")

    async def _confirmed(self, membership: Membership) -> None:
        registration = replace(self._registration, membership=membership)
        reason = ""
        for _ in range(max(ATTEMPTS, len(self._directors))):
            director = self._directors.current
            try:
                stored = await director.register(self._name, registration, APPLY_WITHIN_S)
            except LvsctlError as error:
                reason = str(error)
                self._directors.failed(director)
                await asyncio.sleep(PAUSE_S)
            else:
                if stored.applied:
                    return
                reason = f"{director.url} did not bring it into its kernel: {stored.reason}"
        raise _Unconfirmed(reason)

    async def _connections_ended(self, deadline_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = quiet_since = loop.time()
        told: object = 0
        while (rest_s := began + deadline_s - loop.time()) > 0:
            count = await self._connections()
            if count not in (0, told):
                await self._say(f"{_open(count)}; waiting {rest_s:.0f} s at most")
            told = count
            if count != 0:
                quiet_since = loop.time()
            elif loop.time() - quiet_since >= QUIET_S:
                await self._say("no connection is open")
                return
            await asyncio.sleep(min(PAUSE_S, rest_s))
        count = await self._connections()
        await self._say(f"{_open(count)} after {deadline_s:g} s; waiting no longer")

    async def _connections(self) -> int | None:
        """Return how many there are, None where no director tells."""
        director = self._directors.current
        try:
            return await director.connections(self._name)
        except NotFound:
            return 0
        except LvsctlError:
            self._directors.failed(director)
            return None

    async def _say(self, line: str) -> None:
        self._tell(line)
        self._progress = replace(self._progress, lines=(*self._progress.lines, line))
        with contextlib.suppress(StoreError):  # a full disk; the lines are a courtesy
            await self._worker.run(self._state.keep_leave_progress, self._progress)


def _open(count: int | None) -> str:
    match count:
        case None:
            return "no director tells how many connections are open"
        case 0:
            return "no connection is open"
        case 1:
            return "1 connection is open"
        case _:
            return f"{count} connections are open"
