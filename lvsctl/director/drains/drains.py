"""Follows draining servers: counts their connections, and ends drains at their deadlines.

What is drained, and until when, is in the store. So a director that was killed goes on where it
was, and a deadline that passed meanwhile is acted on at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from lvsctl.director.clock import ClockJump
from lvsctl.director.drains.countdown import (
    Connections,
    Countdown,
    connections_of,
    drained,
    services_of,
)
from lvsctl.director.state import State
from lvsctl.director.write.edits import EndDrain
from lvsctl.errors import BoundaryError
from lvsctl.events import Event, EventKind
from lvsctl.farm.status import AdministrativeState, AtDeadline, Deadline, ServerId

COUNT_EVERY_S = 1.0
SHARE_OF_TIME = 0.05
"""Maximum share of the kernel thread's time for counting; large pools are counted less often."""

log = structlog.get_logger(__name__)


class Drains:
    """The drains of one director; used on its event loop.

    Args:
        state: Returns the present state.
        count: Reads the connections of servers in the given services from the kernel.
        end: Stores that a drain is over.
        emit: Called with events when a drain is over, and when no connections remain.
        now: The time of day, in UTC.
    """

    def __init__(
        self,
        *,
        state: Callable[[], State],
        count: Callable[[frozenset[str]], Awaitable[Connections]],
        end: Callable[[EndDrain], Awaitable[object]],
        emit: Callable[[Event], None],
        now: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._count = count
        self._end = end
        self._emit = emit
        self._now = now
        self._looked_at: datetime | None = None
        self._countdowns: dict[ServerId, Countdown] = {}
        self._moved: dict[ServerId, tuple[Deadline, datetime]] = {}
        self._problem = ""
        self._woken = asyncio.Event()
        self._count_every_s = COUNT_EVERY_S

    @property
    def countdowns(self) -> Mapping[ServerId, Countdown]:
        """The countdown of each draining server that has been counted."""
        return dict(self._countdowns)

    def clock_jumped(self, jump: ClockJump) -> None:
        """Keep the remaining times of drains when the clock is set.

        Stored deadlines do not change, as other directors, whose clocks were not set, use them too.
        """
        moved: dict[ServerId, tuple[Deadline, datetime]] = {}
        for server, override in self._state().status.overrides.items():
            if override.deadline:
                ends = self._ends(server, override.deadline)
                made = override.since + (ends - override.deadline.at)
                moved[server] = (override.deadline, jump.moved(ends, made))
        self._moved = moved
        if self._looked_at:
            self._looked_at += jump.by

    @property
    def deadlines(self) -> Mapping[ServerId, datetime]:
        """The deadline of each override that has one, by this host's clock, in UTC."""
        return {
            server: self._ends(server, override.deadline)
            for server, override in self._state().status.overrides.items()
            if override.deadline
        }

    def _ends(self, server: ServerId, deadline: Deadline) -> datetime:
        stored, at = self._moved.get(server, (None, deadline.at))
        return at if stored == deadline else deadline.at

    def wake(self) -> None:
        """Check again, as the state has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Count and end drains until cancelled; costs nothing while no server drains."""
        while True:
            self._woken.clear()
            try:
                await self.look()
                self._problem = ""
            except BoundaryError as error:
                if str(error) != self._problem:
                    log.warning("drains could not be followed", reason=str(error))
                self._problem = str(error)
            except Exception:
                # A defect in lvsctl must leave the kernel serving and the API answering.
                log.exception("drains could not be followed")
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """End drains whose deadline has passed, and count the connections of the others.

        Raises:
            KernelError, StoreError: It will be retried.
        """
        try:
            await self._end_those_that_are_over()
        finally:
            await self._count_all()

    async def _end_those_that_are_over(self) -> None:
        now = self._now()
        before, self._looked_at = self._looked_at or now, now
        for server, override in self._state().status.overrides.items():
            if override.deadline is None:
                continue
            ends = self._ends(server, override.deadline)
            cut = (
                override.state is AdministrativeState.DRAINING
                and override.deadline.then is AtDeadline.CUT
                and ends <= now
            )
            if cut:
                await self._end(EndDrain(server, override, now))
            if cut or before < ends <= now:
                log.info("drain is over", server=str(server))
                self._emit(Event(EventKind.DRAIN_OVER, str(server), self._what_is_left(server)))

    def _what_is_left(self, server: ServerId) -> str:
        countdown = self._countdowns.get(server)
        left = f", {countdown.connections} connections are left" if countdown else ""
        return f"its deadline is over{left}"

    async def _count_all(self) -> None:
        state = self._state()
        servers = drained(state)
        if not servers:
            self._countdowns = {}
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await self._count(services_of(state, servers))
        at_s = loop.time()
        self._count_every_s = max(COUNT_EVERY_S, (at_s - began) / SHARE_OF_TIME)
        before, self._countdowns = (
            self._countdowns,
            {
                server: (self._countdowns.get(server) or Countdown(())).then(at_s, connections)
                for server, connections in connections_of(state, servers, found).items()
            },
        )
        for server, countdown in self._countdowns.items():
            had = before[server].connections if server in before else 0
            if had and not countdown.connections:
                self._emit(Event(EventKind.DRAINED, str(server), "no connection is left"))

    def _wait_s(self) -> float | None:
        """Return the seconds until the next action; None to wait for a change."""
        now = self._now()
        state = self._state()
        servers = drained(state)
        if not servers:
            return None
        left_s = [
            (self._ends(server, deadline) - now).total_seconds()
            for server in servers
            if (deadline := state.status.overrides[server].deadline)
        ]
        return min([self._count_every_s, *(each for each in left_s if each > 0)])
