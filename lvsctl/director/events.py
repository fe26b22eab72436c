"""The director's events: taken from whoever notices something, kept, and given to who watches."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import structlog

from lvsctl.errors import StoreError
from lvsctl.events import Event, RecordedEvent
from lvsctl.store.events import KEEP, EventLog
from lvsctl.worker import Worker

BATCH = 500
"""So many are handed out at once."""

log = structlog.get_logger(__name__)


class Events:
    """The history of one director; lives on its event loop.

    An event is shown once it is on the disk: were it shown before and lost in a crash, another
    event would get its id, and who resumes after that id would never see it. Where the disk fails
    events are shown all the same, and written as soon as it can be.

    Args:
        recorded: What is in the log already.
        log: Where they are kept; used in ``store`` alone.
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
        self._shown: deque[RecordedEvent] = deque(recorded, KEEP)
        self._log = log
        self._store = store
        self._now = now
        self._next_id = recorded[-1].id + 1 if recorded else 1
        self._new: list[RecordedEvent] = []
        self._unwritten: deque[RecordedEvent] = deque(maxlen=KEEP)
        self._emitted = asyncio.Event()
        self._shown_more = asyncio.Event()
        self._ended = False
        self._flushing = asyncio.Lock()

    @property
    def last_id(self) -> int:
        """The id of the newest event that is shown; 0 before the first."""
        return self._shown[-1].id if self._shown else 0

    @property
    def first_id(self) -> int:
        """The id of the oldest event that is kept; 1 before the first."""
        return self._shown[0].id if self._shown else 1

    def emit(self, *events: Event) -> None:
        """Take note of what has happened; it is on the disk, and shown, soon."""
        for event in events:
            self._new.append(RecordedEvent(self._next_id, self._now(), event))
            self._next_id += 1
        if events:
            self._emitted.set()

    async def run(self) -> None:
        """Write and show events until cancelled."""
        while True:
            await self._emitted.wait()
            self._emitted.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write and show what was emitted by now."""
        async with self._flushing:
            new, self._new = self._new, []
            if not new:
                return
            self._unwritten.extend(new)
            try:
                await self._store.run(self._log.append, tuple(self._unwritten))
            except StoreError as error:
                log.warning("events could not be kept", reason=str(error))
            else:
                self._unwritten.clear()
            self._shown.extend(new)
            self._wake_all()

    def after(self, last_id: int) -> Sequence[RecordedEvent]:
        """Return the oldest events that follow an id, up to a batch.

        An id that was never given is that of a history that was lost: who has it sees all.
        """
        if not self._shown or last_id == self.last_id:
            return ()
        skipped = last_id - self.first_id + 1 if last_id < self.last_id else 0
        skipped = max(0, skipped)
        return tuple(islice(self._shown, skipped, skipped + BATCH))

    async def wait_after(self, last_id: int, timeout_s: float) -> Sequence[RecordedEvent]:
        """Return what follows an id as soon as something does; nothing when the time is over."""
        more = self._shown_more
        if not self.after(last_id) and not self._ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await more.wait()
        return self.after(last_id)

    @property
    def ended(self) -> bool:
        """Whether the director stops, and nobody should wait any longer."""
        return self._ended

    def end(self) -> None:
        """Send everybody home who waits: an open stream would hold up the stop."""
        self._ended = True
        self._wake_all()

    def _wake_all(self) -> None:
        self._shown_more.set()
        self._shown_more = asyncio.Event()
