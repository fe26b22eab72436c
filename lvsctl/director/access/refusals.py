"""Requests that were refused: in the log, and the latest in memory.

Not in the store: a stranger must not make a director write.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lvsctl.director.access.failed_attempts import FailedAttempts, Schedule

NO_TOKEN = "no token"  # noqa: S105 - a reason
MAX_GROUPS = 250
"""Of strangers, and of those who have a credential: neither can push the others out."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests of one sort that one source was refused.

    Attributes:
        source: Address that they came from.
        name: Of whoever's credential was shown; empty for none, or a wrong one.
        reason: Why, in a few words.
        times: How many.
        first: When the first of them came, in UTC.
        last: When the last of them came, in UTC.
    """

    source: str
    name: str
    reason: str
    times: int
    first: datetime
    last: datetime


def _later(after_s: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(after_s, call)


class Refusals:
    """The latest refusals; lives on the director's event loop.

    Args:
        now: The time of day, in UTC.
        schedule: Calls something later.
    """

    def __init__(self, now: Callable[[], datetime], schedule: Schedule = _later) -> None:
        self._now = now
        self._log = FailedAttempts(schedule)
        self._strangers: dict[tuple[str, str, str], Refusal] = {}
        self._known: dict[tuple[str, str, str], Refusal] = {}

    @property
    def all(self) -> Sequence[Refusal]:
        """All that are kept, the latest first."""
        found = [*self._strangers.values(), *self._known.values()]
        return sorted(found, key=lambda each: each.last, reverse=True)

    def record(self, source: str, reason: str, name: str = "") -> None:
        """Count a refused request.

        Args:
            source: Address that it came from.
            reason: Why, in a few words.
            name: Of whoever's credential was shown; empty for none, or a wrong one.
        """
        if reason != NO_TOKEN:  # every browser and every scanner begins without
            self._log.note(f"{source} ({name})" if name else source, reason)
        groups = self._known if name else self._strangers
        now, key = self._now(), (source, name, reason)
        found = groups.pop(key, None) or Refusal(source, name, reason, 0, now, now)
        groups[key] = replace(found, times=found.times + 1, last=now)
        if len(groups) > MAX_GROUPS:
            del groups[next(iter(groups))]
