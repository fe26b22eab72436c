"""What is logged of clients that were refused: a line a minute, however many there are."""

from collections import Counter
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

LOG_EVERY_S = 60.0


class RefusalLog:
    """Counts refusals, and logs the first at once and the others together.

    Args:
        now_s: A monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._counts = Counter[str]()
        self._next_s = now_s()

    def record(self, reason: str) -> None:
        """Count one."""
        self._counts[reason] += 1
        self.flush()

    def flush(self) -> None:
        """Log what was counted, if the last line is long enough ago."""
        if self._counts and self._now_s() >= self._next_s:
            log.warning("HTTP clients refused or cut off", counts=dict(self._counts))
            self._counts.clear()
            self._next_s = self._now_s() + LOG_EVERY_S
