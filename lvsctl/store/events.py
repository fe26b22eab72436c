"""The history of events: bounded, and kept over restarts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lvsctl.events import RecordedEvent
from lvsctl.store.database import Database, Format
from lvsctl.store.documents import decode_event, encode_event

KEEP = 10_000
"""So many of the newest events are kept, some five megabytes."""

FORMAT = Format(
    what="the history of events",
    application_id=0x4C56_5365,
    version=1,
    tables={"events": "id INTEGER PRIMARY KEY, document TEXT NOT NULL"},
    loss="the history begins anew; nothing else depends on it",
)


class EventLog(Protocol):
    """Keeps the newest events; an instance belongs to the thread that made it."""

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        ...

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Keep events, durably, in place of the oldest; their ids follow on those before.

        Raises:
            StoreError: The disk failed; none of them is kept.
        """
        ...

    def close(self) -> None:
        """Let go of the disk."""
        ...


class SqliteEventLog:
    """The history in a file of its own, so that it is never in the way of the farm's.

    Args:
        path: The file, ``events.db`` in the state folder. Made where it is missing.
        keep: How many events.

    Raises:
        StoreCorrupt: The file is damaged, or is something else.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses, or another process holds the file.
    """

    def __init__(self, path: Path, keep: int = KEEP) -> None:
        self._database = Database(path, FORMAT, {})
        self._keep = keep

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        try:
            return [decode_event(document) for _, document in self._database.rows("events")]
        except ValueError as error:
            self._database.corrupt(error)

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Keep events in place of the oldest."""
        if not events:
            return
        with self._database.transaction():
            self._database.write("events", [(each.id, encode_event(each)) for each in events])
            self._database.delete("DELETE FROM events WHERE id <= ?", events[-1].id - self._keep)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


class MemoryEventLog:
    """The history without a disk, gone with the process."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._documents: list[str] = []

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        return [decode_event(document) for document in self._documents]

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Keep events in place of the oldest."""
        self._documents += map(encode_event, events)
        del self._documents[: -self._keep]

    def close(self) -> None:
        """Keep nothing open."""
