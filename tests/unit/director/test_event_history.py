"""Who keeps a place in the history when there is no room for all."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.director.events.history import BUDGET_BYTES, KEEP, History, cost
from lvsctl.events import Event, EventKind, RecordedEvent

AT = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = 800
"""What an event without a long text costs."""


def recorded(number: int, kind: EventKind, subject: str = "", detail: str = "") -> RecordedEvent:
    return RecordedEvent(number, AT, Event(kind, subject, detail))


def ids(history: History) -> list[int]:
    return [each.id for each in history.after(0, 100_000)]


def test_ten_thousand_small_events_are_kept() -> None:
    """The oldest of one source go."""
    history = History()
    events = [recorded(n, EventKind.DRIFT) for n in range(1, KEEP + 4)]
    assert [1, 2, 3] == list(history.add(events))
    assert (4, KEEP + 3) == (history.first_id, history.last_id)


def test_a_noisy_agent_pushes_out_its_own_findings_alone() -> None:
    """Neither those of other agents, nor who changed the farm, nor which server fell."""
    history = History()
    quiet = [
        recorded(1, EventKind.STORED, "revision 1"),
        recorded(2, EventKind.AGENT_FINDING, "rs2"),
        recorded(3, EventKind.SERVER_DOWN, "web/rs2"),
    ]
    history.add(quiet)
    history.add(recorded(n, EventKind.AGENT_FINDING, "rs1") for n in range(4, 3 * KEEP))
    kept = ids(history)
    assert [1, 2, 3] == kept[:3]
    assert KEEP == len(kept)
    assert 3 * KEEP - 1 == kept[-1]


def test_a_noisy_kind_of_many_subjects_pushes_out_no_other_kind() -> None:
    """A thousand servers that flap leave who changed the farm in its place."""
    history = History()
    history.add([recorded(1, EventKind.STORED, "revision 1")])
    history.add(recorded(n, EventKind.SERVER_DOWN, f"web/rs{n % 1000}") for n in range(2, 2 * KEEP))
    assert [1, KEEP + 2 - 2] == [ids(history)[0], len(ids(history))]


def test_two_noisy_kinds_share_the_room() -> None:
    """Each has half, whoever began."""
    history = History(100 * SMALL)
    history.add(recorded(n, EventKind.DRIFT) for n in range(1, 1000))
    history.add(recorded(n, EventKind.STORED, f"revision {n}") for n in range(1000, 2000))
    kinds = [each.event.kind for each in history.after(0, 100)]
    assert (50, 50) == (kinds.count(EventKind.DRIFT), kinds.count(EventKind.STORED))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([EventKind.DRIFT, EventKind.STORED, EventKind.AGENT_FINDING]),
        st.sampled_from(["", "rs1", "rs2"]),
        st.integers(0, 3 * SMALL),
    ),
    max_size=60,
)


@given(events=EVENTS, room=st.integers(4, 12))
def test_whatever_comes_the_budget_holds_and_the_newest_is_kept(
    events: list[tuple[EventKind, str, int]], room: int
) -> None:
    """What was forgotten is gone, the rest is in order."""
    budget = room * SMALL
    history = History(budget)
    forgotten: set[int] = set()
    everything = [
        recorded(number, kind, subject, "x" * length)
        for number, (kind, subject, length) in enumerate(events, 1)
    ]
    for each in everything:
        forgotten |= {*history.add([each])}
        kept = history.after(0, 1000)
        assert sum(map(cost, kept)) <= budget
        assert each.id == history.last_id
        assert [e for e in everything[: each.id] if e.id not in forgotten] == list(kept)
        for last_id in (0, each.id // 2, each.id):
            assert [e for e in kept if e.id > last_id] == list(history.after(last_id, 1000))


def test_the_budget_is_eight_megabytes() -> None:
    """Long texts take room from others of their source, not memory."""
    history = History()
    history.add(recorded(n, EventKind.DRIFT, "", "ä" * 2000) for n in range(1, 5000))
    kept = history.after(0, 5000)
    assert BUDGET_BYTES // 4000 == len(kept)
