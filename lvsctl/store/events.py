"""Persistent storage of events."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew
from lvsctl.events import RecordedEvent
from lvsctl.store.database import Database, Format
from lvsctl.store.documents import decode_event, encode_event

log = structlog.get_logger(__name__)

FORMAT = Format(
    what="the history of events",
    application_id=0x4C56_5365,
    version=1,
    tables={"events": "id INTEGER PRIMARY KEY, document TEXT NOT NULL"},
    cure="A new history is begun; nothing else depends on it",
)


class EventLog(Protocol):
    """Stores events; an instance belongs to the thread that created it."""

    def load(self) -> Sequence[RecordedEvent]:
        """Return the stored events, oldest first."""
        ...

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Durably store new events and delete others, in one transaction.

        Args:
            events: New events, with ids above all earlier ones.
            forget: Ids of events to delete; unknown ids are ignored.

        Raises:
            StoreError: The disk failed; nothing has changed.
        """
        ...

    def close(self) -> None:
        """Close files."""
        ...


class SqliteEventLog:
    """Events in an SQLite file of their own, so that they never affect the farm's store.

    Args:
        path: The file, ``events.db`` in the state folder; created if missing.

    Raises:
        StoreCorrupt: The file is damaged, or is another kind of file.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk failed, or another process has locked the file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, FORMAT, {})

    def load(self) -> Sequence[RecordedEvent]:
        """Return the stored events, oldest first."""
        try:
            return [decode_event(document) for _, document in self._database.rows("events")]
        except ValueError as error:
            self._database.corrupt(error)

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Store new events and delete others."""
        if not events and not forget:
            return
        with self._database.transaction():
            for number in forget:
                self._database.delete("DELETE FROM events WHERE id = ?", number)
            self._database.write("events", [(each.id, encode_event(each)) for each in events])

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class MemoryEventLog:
    """Events in memory, lost when the process ends."""

    def __init__(self) -> None:
        self._documents: dict[int, str] = {}

    def load(self) -> Sequence[RecordedEvent]:
        """Return the stored events, oldest first."""
        return [decode_event(document) for document in self._documents.values()]

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Store new events and delete others."""
        for number in forget:
            self._documents.pop(number, None)
        self._documents |= {each.id: encode_event(each) for each in events}

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class OpenedHistory:
    """An event log that can be used, whatever state the disk is in.

    Attributes:
        log: The log.
        recorded: Events that are stored already.
        lost: What happened to an earlier log that cannot be read; empty if there was none.
        durable: Whether events survive a restart.
    """

    log: EventLog
    recorded: Sequence[RecordedEvent] = ()
    lost: str = ""
    durable: bool = True


def open_history(path: Path, now: Callable[[], datetime]) -> OpenedHistory:
    """Open the event log; no damage to it keeps a director from starting.

    A damaged file is renamed and a new one is created. If that fails too, events are kept in
    memory only.
    """
    try:
        return _opened(path)
    except (StoreCorrupt, StoreTooNew) as error:
        reason = str(error)
    except StoreError as error:
        return _in_memory(str(error))
    try:
        aside = _set_aside(path, now())
        opened = _opened(path)
    except (OSError, StoreError) as error:
        return _in_memory(f"{reason} It cannot be set aside either: {error}")
    log.error("the history of events was set aside", file=str(aside), reason=reason)
    lost = f"the history of events could not be read and begins anew; the old file is {aside}"
    return OpenedHistory(opened.log, lost=lost)


def _in_memory(reason: str) -> OpenedHistory:
    lost = f"events are kept in memory only, until the director is restarted: {reason}"
    return OpenedHistory(MemoryEventLog(), lost=lost, durable=False)


def _opened(path: Path) -> OpenedHistory:
    event_log = SqliteEventLog(path)
    try:
        return OpenedHistory(event_log, event_log.load())
    except BaseException:
        event_log.close()
        raise


def _set_aside(path: Path, now: datetime) -> Path:
    """Rename a database and its journal; return the new name."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        found = path.with_name(path.name + suffix)
        if found.exists():
            found.rename(aside.with_name(aside.name + suffix))
    return aside
