"""Logs refused clients, at most once a minute."""

from collections import Counter
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

LOG_EVERY_S = 60.0


class RefusalLog:
    """Counts refusals; logs the first at once and later ones together.

    Args:
        now_s: A monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._counts = Counter[str]()
        self._next_s = now_s()

    def record(self, reason: str) -> None:
        """Count a refusal."""
        self._counts[reason] += 1
        self.flush()

    def flush(self) -> None:
        """Log the counts, unless the last line was less than a minute ago."""
        if self._counts and self._now_s() >= self._next_s:
            log.warning("HTTP clients refused or cut off", counts=dict(self._counts))
            self._counts.clear()
            self._next_s = self._now_s() + LOG_EVERY_S
