"""Events for people and programs. Pure."""

import enum
from dataclasses import dataclass
from datetime import datetime

MAX_ITEMS = 20
"""Items listed in one event; its detail gives the total."""
MAX_TEXT = 2000
"""Characters of one text of an event; longer ones are truncated."""


class EventKind(enum.StrEnum):
    """Kind of an event; the names are stable, for programs."""

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
        kind: Kind of event.
        subject: A virtual service, a VIP, ``pool/server`` or an agent; may be empty.
        detail: What happened and why, for a person.
        items: The first of the changes or operations.
        by: Who requested it; empty if nobody did.
        code: Of the reason that the detail gives; empty if it gives none.
    """

    kind: EventKind
    subject: str = ""
    detail: str = ""
    items: tuple[str, ...] = ()
    by: str = ""
    code: str = ""

    @property
    def cut(self) -> "Event":
        """The event, truncated to the limits of the history."""
        return Event(
            self.kind,
            _cut(self.subject),
            _cut(self.detail),
            tuple(map(_cut, self.items[:MAX_ITEMS])),
            _cut(self.by),
            _cut(self.code),
        )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event in the history.

    Attributes:
        id: Increases with every event.
        at: In UTC.
        event: The event.
    """

    id: int
    at: datetime
    event: Event
