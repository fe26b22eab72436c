"""Refusals in the log: grouped by source, and bounded whatever a guesser does."""

from collections import Counter
from collections.abc import Callable

import structlog

WINDOW_S = 60.0
MAX_SOURCES = 50
"""Sources told apart within a window; all others are counted as one."""
OTHERS = "others"
WRONG_TOKEN = "wrong token"  # noqa: S105 - what is logged
OTHER_REFUSALS = "refused"

log = structlog.get_logger(__name__)

Schedule = Callable[[float, Callable[[], None]], object]
"""Calls something after that many seconds."""


class FailedAttempts:
    """Logs the first refusal of a source at once, and at the window's end how many followed.

    Args:
        schedule: When the window ends.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, source: str, what: str = WRONG_TOKEN) -> None:
        """Count an attempt.

        Args:
            source: The client's address, with the name of its credential where it has one.
            what: Why it was refused, in a few words.
        """
        if not self._counts:
            self._schedule(WINDOW_S, self._end_window)
        key = (what, source)
        if key not in self._counts and len(self._counts) >= MAX_SOURCES:
            key = (what, OTHERS) if what == WRONG_TOKEN else (OTHER_REFUSALS, OTHERS)
        self._counts[key] += 1
        if self._counts[key] == 1:
            log.warning(key[0], source=key[1])

    def _end_window(self) -> None:
        counts, self._counts = self._counts, Counter()
        for (what, source), count in counts.items():
            if count > 1:
                log.warning("%s again", what, source=source, times=count - 1, within_s=WINDOW_S)
