"""The history of events, kept over restarts."""

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
    cure="The history begins anew; nothing else depends on it",
)


class EventLog(Protocol):
    """Keeps events until they are forgotten; an instance belongs to the thread that made it."""

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        ...

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Keep events, durably, in place of others; their ids follow on those before.

        Args:
            events: The new ones.
            forget: Ids of those to forget; one that is not kept is no error.

        Raises:
            StoreError: The disk failed; all is as before.
        """
        ...

    def close(self) -> None:
        """Let go of the disk."""
        ...


class SqliteEventLog:
    """The history in a file of its own, so that it is never in the way of the farm's.

    Args:
        path: The file, ``events.db`` in the state folder. Made where it is missing.

    Raises:
        StoreCorrupt: The file is damaged, or is something else.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses, or another process holds the file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, FORMAT, {})

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        try:
            return [decode_event(document) for _, document in self._database.rows("events")]
        except ValueError as error:
            self._database.corrupt(error)

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Keep events in place of others."""
        if not events and not forget:
            return
        with self._database.transaction():
            for number in forget:
                self._database.delete("DELETE FROM events WHERE id = ?", number)
            self._database.write("events", [(each.id, encode_event(each)) for each in events])

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


class MemoryEventLog:
    """The history without a disk, gone with the process."""

    def __init__(self) -> None:
        self._documents: dict[int, str] = {}

    def load(self) -> Sequence[RecordedEvent]:
        """Return the events that are kept, the oldest first."""
        return [decode_event(document) for document in self._documents.values()]

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        """Keep events in place of others."""
        for number in forget:
            self._documents.pop(number, None)
        self._documents |= {each.id: encode_event(each) for each in events}

    def close(self) -> None:
        """Keep nothing open."""


@dataclass(frozen=True, slots=True)
class OpenedHistory:
    """A history that is ready for use, whatever was on the disk.

    Attributes:
        log: Where events are kept.
        recorded: Those that are kept already.
        lost: What became of an older history that cannot be used; empty where none was lost.
        durable: Events outlive the process.
    """

    log: EventLog
    recorded: Sequence[RecordedEvent] = ()
    lost: str = ""
    durable: bool = True


def open_history(path: Path, now: Callable[[], datetime]) -> OpenedHistory:
    """Open the history in a file; nothing that is wrong with it is in a director's way.

    A damaged file is set aside, and a new one begun. Where the disk refuses even that, the
    history is in memory alone.
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
    lost = f"the history of events could not be read and begins anew; what was there is {aside}"
    return OpenedHistory(opened.log, lost=lost)


def _in_memory(reason: str) -> OpenedHistory:
    lost = f"events are kept in memory alone, until the director is started again: {reason}"
    return OpenedHistory(MemoryEventLog(), lost=lost, durable=False)


def _opened(path: Path) -> OpenedHistory:
    event_log = SqliteEventLog(path)
    try:
        return OpenedHistory(event_log, event_log.load())
    except BaseException:
        event_log.close()
        raise


def _set_aside(path: Path, now: datetime) -> Path:
    """Rename a database with its journal, and return the new name."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        found = path.with_name(path.name + suffix)
        if found.exists():
            found.rename(aside.with_name(aside.name + suffix))
    return aside
