"""Clocks that a test moves."""

from datetime import datetime, timedelta


class Clock:
    """The time of day and a monotonic clock, which stand until they are moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.monotonic_s = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def set(self, by: timedelta) -> None:
        """Set the time of day, as somebody does whose clock was wrong."""
        self.now += by
