"""What happened, as people and programs are told of it. Pure."""

import enum
from dataclasses import dataclass
from datetime import datetime

MAX_ITEMS = 20
"""So many are listed of what one event is about; its detail says how many there are."""
MAX_TEXT = 2000
"""Characters of one text of an event; a longer one is cut."""


class EventKind(enum.StrEnum):
    """What an event is about; the names are stable and for programs."""

    STORED = "stored"
    SERVER_STATE = "server-state"
    DRAINED = "drained"
    DRAIN_OVER = "drain-over"
    KERNEL_CHANGED = "kernel-changed"
    KERNEL_REFUSED = "kernel-refused"
    KERNEL_UNREADABLE = "kernel-unreadable"
    KERNEL_READABLE = "kernel-readable"
    DRIFT = "drift"
    CONFLICT = "conflict"
    CONFLICT_OVER = "conflict-over"
    VIP_PROBLEM = "vip-problem"
    VIP_PROBLEM_OVER = "vip-problem-over"
    HOST_PROBLEM = "host-problem"
    HOST_PROBLEM_OVER = "host-problem-over"
    SERVER_UP = "server-up"
    SERVER_DOWN = "server-down"
    HEALTH_FROZEN = "health-frozen"
    HEALTH_FROZEN_OVER = "health-frozen-over"
    PANIC = "panic"
    PANIC_OVER = "panic-over"
    SORRY_SERVER = "sorry-server"
    SORRY_SERVER_OVER = "sorry-server-over"
    QUORUM_LOST = "quorum-lost"
    QUORUM_BACK = "quorum-back"
    AGENT_FINDING = "agent-finding"
    AGENT_LOST = "agent-lost"
    AGENT_RETURNED = "agent-returned"
    MODE = "mode"
    DIRECTOR_PROBLEM = "director-problem"
    DIRECTOR_PROBLEM_OVER = "director-problem-over"
    HISTORY_LOST = "history-lost"
    CLOCK_JUMP = "clock-jump"
    NEW_EPOCH = "new-epoch"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: What it is about.
        subject: Which one: a virtual service, a VIP, ``pool/server``, an agent; may be empty.
        detail: What happened and why, for a person.
        items: What was done or changed, the first of them.
        by: Who wanted it; empty where nobody did.
    """

    kind: EventKind
    subject: str = ""
    detail: str = ""
    items: tuple[str, ...] = ()
    by: str = ""

    @property
    def cut(self) -> "Event":
        """The same event within the limits of what is kept."""
        return Event(
            self.kind,
            _cut(self.subject),
            _cut(self.detail),
            tuple(map(_cut, self.items[:MAX_ITEMS])),
            _cut(self.by),
        )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event in its place in the history.

    Attributes:
        id: Greater than that of the event before it.
        at: When, in UTC.
        event: What happened.
    """

    id: int
    at: datetime
    event: Event
