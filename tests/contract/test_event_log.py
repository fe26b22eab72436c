"""The contract of event logs, on disk and in memory."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt
from lvsctl.events import Event, EventKind, RecordedEvent
from lvsctl.store.events import EventLog, MemoryEventLog, SqliteEventLog, open_history

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
EVENTS = st.builds(
    Event, st.sampled_from(EventKind), TEXTS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), TEXTS
)


def recorded(first: int, events: list[Event]) -> list[RecordedEvent]:
    """Return events with consecutive ids."""
    return [RecordedEvent(number, AT, event) for number, event in enumerate(events, first)]


def some(first: int, count: int) -> list[RecordedEvent]:
    """Return a number of events, starting with an id."""
    return recorded(first, [Event(EventKind.STORED, "revision 1")] * count)


@pytest.fixture(params=["sqlite", "memory"])
def make_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], EventLog]:
    """Return a function that creates a log."""
    count = iter(range(10_000))

    def make() -> EventLog:
        if request.param == "memory":
            return MemoryEventLog()
        return SqliteEventLog(tmp_path / f"{next(count)}.db")

    return make


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    batches=st.lists(
        st.tuples(st.lists(EVENTS, max_size=7), st.sets(st.integers(1, 20), max_size=5)),
        max_size=4,
    )
)
def test_events_are_kept_in_order_until_forgotten(
    make_log: Callable[[], EventLog], batches: list[tuple[list[Event], set[int]]]
) -> None:
    """Whatever they contain; ids of future events are ignored."""
    log, kept, next_id = make_log(), list[RecordedEvent](), 1
    for batch, forget in batches:
        new = recorded(next_id, batch)
        log.append(new, forget)
        kept = [each for each in kept if each.id not in forget] + new
        next_id += len(new)
    assert kept == list(log.load())
    log.close()


def test_events_survive_a_restart(tmp_path: Path) -> None:
    """With ids, times and all fields."""
    log = SqliteEventLog(tmp_path / "events.db")
    log.append(some(1, 3))
    log.close()
    again = SqliteEventLog(tmp_path / "events.db")
    assert some(1, 3) == list(again.load())
    again.append(some(4, 1))
    assert some(1, 4) == list(again.load())
    again.close()


def test_an_event_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    """The message says that only the history is lost."""
    path = tmp_path / "events.db"
    log = SqliteEventLog(path)
    log.append(some(1, 3))
    log.close()
    data = path.read_bytes()
    assert b"revision 1" in data
    path.write_bytes(data.replace(b"revision 1", b"revision 9"))
    changed = SqliteEventLog(path)
    with pytest.raises(StoreCorrupt, match="nothing else depends on it"):
        changed.load()
    changed.close()


@pytest.mark.parametrize("damage", ["garbage", "a changed row", "empty", "a newer format"])
def test_an_unreadable_history_is_set_aside(tmp_path: Path, damage: str) -> None:
    """Under a name with the time, which is reported; a new one is begun."""
    path = tmp_path / "events.db"
    log = SqliteEventLog(path)
    log.append(some(1, 3))
    log.close()
    match damage:
        case "a changed row":
            path.write_bytes(path.read_bytes().replace(b"revision 1", b"revision 9"))
        case "a newer format":
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        case _:
            path.write_bytes(b"" if damage == "empty" else b"garbage")
    damaged = path.read_bytes()

    history = open_history(path, lambda: AT)
    history.log.append(some(1, 2))
    history.log.close()

    aside = tmp_path / "events.db.damaged-20260102T030405Z"
    assert ((), True) == (tuple(history.recorded), history.durable)
    assert str(aside) in history.lost
    assert damaged == aside.read_bytes()
    again = open_history(path, lambda: AT)
    again.log.close()
    assert (some(1, 2), "") == (list(again.recorded), again.lost)


def test_a_history_that_cannot_be_created_is_kept_in_memory(tmp_path: Path) -> None:
    """With the reason; the director starts all the same."""
    (tmp_path / "file").write_text("no folder")
    history = open_history(tmp_path / "file" / "events.db", lambda: AT)
    history.log.append(some(1, 1))
    assert (some(1, 1), False) == (list(history.log.load()), history.durable)
    assert "in memory only" in history.lost
    assert str(tmp_path / "file") in history.lost
