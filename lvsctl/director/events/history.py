"""The event history, within a budget that kinds and subjects share. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from lvsctl.events import EventKind, RecordedEvent

KEEP = 10_000
_LEAST_BYTES = 800
"""Minimum size counted per event, so that the budget bounds their number too."""

BUDGET_BYTES = KEEP * _LEAST_BYTES
"""Budget for the texts of all events, which bounds memory and file size."""


def cost(recorded: RecordedEvent) -> int:
    """Return the bytes of the budget that an event takes."""
    event = recorded.event
    texts = (event.subject, event.detail, event.by, *event.items)
    return max(_LEAST_BYTES, sum(len(text.encode()) for text in texts))


class History:
    """Events ordered by id, with gaps where some were deleted.

    When the budget is used up, the kind that takes most of it loses an event, of the subject that
    takes most of that kind, the oldest first. So an agent that reports ten findings a second
    pushes out its own findings, and neither those of other agents nor who changed the farm.

    Args:
        budget: Maximum bytes of the texts of all events.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._used = 0
        self._ids: list[int] = []
        self._events: dict[int, RecordedEvent] = {}
        self._by_source: dict[EventKind, dict[str, list[int]]] = {}
        self._used_by_kind: dict[EventKind, int] = {}
        self._used_by_subject: dict[tuple[EventKind, str], int] = {}

    @property
    def last_id(self) -> int:
        """Id of the newest event; 0 before the first."""
        return self._ids[-1] if self._ids else 0

    @property
    def first_id(self) -> int:
        """Id of the oldest event; 1 before the first."""
        return self._ids[0] if self._ids else 1

    def after(self, last_id: int, limit: int) -> Sequence[RecordedEvent]:
        """Return the events after an id, oldest first, up to a limit."""
        begin = bisect_right(self._ids, last_id)
        return tuple(self._events[each] for each in self._ids[begin : begin + limit])

    def add(self, recorded: Iterable[RecordedEvent]) -> Sequence[int]:
        """Append events; return the ids of events deleted to make room."""
        forgotten: list[int] = []
        for each in recorded:
            self._ids.append(each.id)
            self._events[each.id] = each
            kind, subject = each.event.kind, each.event.subject
            self._by_source.setdefault(kind, {}).setdefault(subject, []).append(each.id)
            self._charge(each, cost(each))
            while self._used > self._budget:
                forgotten.append(self._forget_one())
        return forgotten

    def _charge(self, recorded: RecordedEvent, amount: int) -> None:
        kind, subject = recorded.event.kind, recorded.event.subject
        self._used += amount
        self._used_by_kind[kind] = self._used_by_kind.get(kind, 0) + amount
        source = (kind, subject)
        self._used_by_subject[source] = self._used_by_subject.get(source, 0) + amount

    def _forget_one(self) -> int:
        number = self._dispensable()
        recorded = self._events.pop(number)
        del self._ids[bisect_right(self._ids, number) - 1]
        self._charge(recorded, -cost(recorded))
        kind, subject = recorded.event.kind, recorded.event.subject
        of_subject = self._by_source[kind][subject]
        of_subject.remove(number)
        if not of_subject:
            del self._by_source[kind][subject]
            del self._used_by_subject[kind, subject]
        return number

    def _dispensable(self) -> int:
        kind = max(self._used_by_kind, key=self._used_by_kind.__getitem__)
        subjects = self._by_source[kind]
        # Of equals the first, which is the one that began earliest.
        subject = max(subjects, key=lambda each: self._used_by_subject[kind, each])
        oldest = subjects[subject][0]
        # The newest stays whatever its size: no id is given twice.
        return self._ids[0] if oldest == self._ids[-1] else oldest
