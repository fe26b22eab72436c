"""What the log of a store records of each commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lvsctl.farm.objects import Changes
from lvsctl.store.position import Position


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit.

    Attributes:
        id: Made by the committer; no two commits have the same.
        epoch: In which the store was.
        revision: That it made.
        at: When, in UTC.
        by: Who asked for it.
        changes: New values; None deletes. Empty where the commit began an epoch.
    """

    id: str
    epoch: int
    revision: int
    at: datetime
    by: str
    changes: Changes


@dataclass(frozen=True, slots=True)
class Reload:
    """The log does not lead on from a position: whoever is there must load everything.

    Attributes:
        reason: Why, for a person.
    """

    reason: str


Batch = Sequence[Commit]
"""Commits with nothing between them, oldest first."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history a store keeps: commits within both limits.

    Attributes:
        age: The oldest commit's.
        commits: How many.
    """

    age: timedelta = timedelta(days=90)
    commits: int = 10_000


def reason_to_reload(position: Position, head: Position, oldest: int) -> str:
    """Return why a log does not lead on from a position; empty where it does.

    Args:
        position: Where the follower is.
        head: Where the store is.
        oldest: Revision of the oldest commit in the log.
    """
    if (position.farm_id, position.epoch) != (head.farm_id, head.epoch):
        return f"the store is in epoch {head.epoch} of farm {head.farm_id}"
    if position.revision > head.revision:
        return f"the store is at revision {head.revision} only"
    if position.revision < oldest - 1:
        return f"the history begins at revision {oldest}"
    return ""
