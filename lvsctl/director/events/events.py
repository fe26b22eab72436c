"""The director's events: emitted, stored, and streamed to clients."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from lvsctl.director.events.history import History
from lvsctl.errors import StoreError
from lvsctl.events import Event, RecordedEvent
from lvsctl.reasons.reason import Reason
from lvsctl.store.events import EventLog
from lvsctl.worker import Worker

BATCH = 500
"""Maximum number of events returned at once."""

log = structlog.get_logger(__name__)


class Events:
    """The event history of one director; used on its event loop.

    An event is shown once it is on disk: if it were shown earlier and lost in a crash, another
    event would get its id, and a client that resumes after it would miss that. If the disk fails,
    events are shown all the same, and written as soon as possible.

    Args:
        recorded: Events already in the log.
        log: The event log; used only in ``store``.
        store: The store's thread.
        now: The time of day, in UTC.
    """

    def __init__(
        self,
        recorded: Sequence[RecordedEvent],
        log: EventLog,
        store: Worker,
        now: Callable[[], datetime],
    ) -> None:
        self._shown = History()
        self._log = log
        self._store = store
        self._now = now
        self._next_id = recorded[-1].id + 1 if recorded else 1
        self._new: list[RecordedEvent] = []
        self._unwritten: dict[int, RecordedEvent] = {}
        self._to_forget = set(self._shown.add(recorded))
        self._emitted = asyncio.Event()
        self._shown_more = asyncio.Event()
        self._ended = False
        self._flushing = asyncio.Lock()
        self._problem: Reason | None = None

    @property
    def problem(self) -> Reason | None:
        """Why the latest events are not on disk; None if they are."""
        return self._problem

    @property
    def last_id(self) -> int:
        """Id of the newest event shown; 0 before the first."""
        return self._shown.last_id

    @property
    def first_id(self) -> int:
        """Id of the oldest event kept; 1 before the first."""
        return self._shown.first_id

    def emit(self, *events: Event) -> None:
        """Add an event, which is soon stored and shown."""
        if not events:
            return
        now = self._now()  # first: that the time of day was set is an event too
        for event in events:
            self._new.append(RecordedEvent(self._next_id, now, event.cut))
            self._next_id += 1
        self._emitted.set()

    async def run(self) -> None:
        """Write and show events until cancelled."""
        while True:
            await self._emitted.wait()
            self._emitted.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write and show the events emitted so far."""
        with contextlib.suppress(StoreError):
            await self.write()

    async def write(self) -> None:
        """Write and show the events emitted so far, and those that could not be written before.

        Raises:
            StoreError: The disk failed; the events are shown all the same.
        """
        async with self._flushing:
            new, self._new = self._new, []
            self._unwritten |= {each.id: each for each in new}
            try:
                if self._unwritten:
                    await self._store.run(
                        self._log.append, tuple(self._unwritten.values()), self._to_forget
                    )
            except StoreError as error:
                log.warning("events could not be kept", reason=str(error))
                self._problem = error.reason
                raise
            else:
                self._problem = None
                self._unwritten.clear()
                self._to_forget = set()
            finally:
                self._show(new)

    def _show(self, new: Sequence[RecordedEvent]) -> None:
        for number in self._shown.add(new):
            if self._unwritten.pop(number, None) is None:
                self._to_forget.add(number)
        if new:
            self._shown_more.set()
            self._shown_more = asyncio.Event()

    def after(self, last_id: int) -> Sequence[RecordedEvent]:
        """Return the events after an id, oldest first, up to a batch.

        Unknown id: from a lost history, so everything is replayed.
        """
        return self._shown.after(last_id if last_id <= self.last_id else 0, BATCH)

    async def wait_after(self, last_id: int, timeout_s: float) -> Sequence[RecordedEvent]:
        """Return the events after an id as soon as there are any; none after the time is over."""
        more = self._shown_more
        if not self.after(last_id) and not self._ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await more.wait()
        return self.after(last_id)

    @property
    def ended(self) -> bool:
        """Whether the director is stopping, so that streams should end."""
        return self._ended

    def end(self) -> None:
        """End all streams, which would delay the stop."""
        self._ended = True
        self._shown_more.set()
        self._shown_more = asyncio.Event()
