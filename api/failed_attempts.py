"""Wrong tokens in the log: grouped by source, and bounded whatever a guesser does."""

from collections import Counter
from collections.abc import Callable

import structlog

WINDOW_S = 60.0
MAX_SOURCES = 50
"""Sources told apart within a window; all others are counted as one."""
OTHERS = "others"

log = structlog.get_logger(__name__)

Schedule = Callable[[float, Callable[[], None]], object]
"""Calls something after that many seconds."""


class FailedAttempts:
    """Logs the first wrong token of a source at once, and at the window's end how many followed.

    Args:
        schedule: When the window ends.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._counts: Counter[str] = Counter()

    def note(self, source: str) -> None:
        """Count an attempt.

        Args:
            source: The client's address.
        """
        if not self._counts:
            self._schedule(WINDOW_S, self._end_window)
        if source not in self._counts and len(self._counts) >= MAX_SOURCES:
            source = OTHERS
        self._counts[source] += 1
        if self._counts[source] == 1:
            log.warning("wrong token", source=source)

    def _end_window(self) -> None:
        counts, self._counts = self._counts, Counter()
        for source, count in counts.items():
            if count > 1:
                log.warning("wrong token again", source=source, times=count - 1, within_s=WINDOW_S)
