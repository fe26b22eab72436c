"""What every log of events keeps to, on a disk and in memory."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt
from lvsctl.events import Event, EventKind, RecordedEvent
from lvsctl.store.events import EventLog, MemoryEventLog, SqliteEventLog

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
KEEP = 5

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
EVENTS = st.builds(
    Event, st.sampled_from(EventKind), TEXTS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), TEXTS
)


def recorded(first: int, events: list[Event]) -> list[RecordedEvent]:
    """Return events with ids that follow on each other."""
    return [RecordedEvent(number, AT, event) for number, event in enumerate(events, first)]


def some(first: int, count: int) -> list[RecordedEvent]:
    """Return so many events from an id on."""
    return recorded(first, [Event(EventKind.STORED, "revision 1")] * count)


@pytest.fixture(params=["sqlite", "memory"])
def make_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], EventLog]:
    """Return what makes a new log of few events."""
    count = iter(range(10_000))

    def make() -> EventLog:
        if request.param == "memory":
            return MemoryEventLog(KEEP)
        return SqliteEventLog(tmp_path / f"{next(count)}.db", KEEP)

    return make


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.lists(EVENTS, max_size=7), max_size=4))
def test_the_newest_are_kept_in_their_order(
    make_log: Callable[[], EventLog], batches: list[list[Event]]
) -> None:
    """Whatever is in them, and however they came."""
    log, written = make_log(), list[RecordedEvent]()
    for batch in batches:
        new = recorded(len(written) + 1, batch)
        log.append(new)
        written += new
    assert written[-KEEP:] == list(log.load())
    log.close()


def test_events_survive_a_restart(tmp_path: Path) -> None:
    """With ids, times and all that they say."""
    log = SqliteEventLog(tmp_path / "events.db")
    log.append(some(1, 3))
    log.close()
    again = SqliteEventLog(tmp_path / "events.db")
    assert some(1, 3) == list(again.load())
    again.append(some(4, 1))
    assert some(1, 4) == list(again.load())
    again.close()


def test_an_event_that_was_changed_on_the_disk_is_refused(tmp_path: Path) -> None:
    """The message says that nothing but the history is lost."""
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
