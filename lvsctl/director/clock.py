"""Detects that the time of day was set, by comparing it with the monotonic clock.

The time of day may be set at any moment, by hand or because it was wrong at boot. Deadlines are
times of day, as they outlive the director and people read them. So when the time is set, every
deadline that was computed from the old time moves with it, and keeps its remaining time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

JUMP = timedelta(seconds=1)
"""Smaller steps of the time of day are ignored."""


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The time of day was set.

    Attributes:
        by: By how much; negative if it was set back.
        before: The time without the step, in UTC.
    """

    by: timedelta
    before: datetime

    def moved(self, at: datetime, made: datetime | None) -> datetime:
        """Return a time adjusted to the step.

        Args:
            at: The time, in UTC.
            made: The time of day when it was computed; None if unknown. If that is in the future
                of the old time, it was computed with a correct clock and is not adjusted: such as
                a deadline loaded before the host's clock was set after boot.
        """
        return at + self.by if made is not None and made <= self.before else at

    def __str__(self) -> str:
        direction = "forward" if self.by > timedelta() else "back"
        seconds = abs(self.by).total_seconds()
        return f"the time of day was set {direction} by {seconds:.0f} s"


class Clock:
    """Compares the time of day with the monotonic clock.

    It does so whenever the time is read, so that a deadline is never compared with a time that was
    set before the deadline has moved with it. Used on the event loop.

    Args:
        wall: The time of day, in UTC.
        monotonic: Seconds on a monotonic clock.
    """

    def __init__(self, wall: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._at, self._at_s = wall(), monotonic()
        self._followers: list[Callable[[ClockJump], None]] = []

    def follow(self, moved: Callable[[ClockJump], None]) -> None:
        """Call a function when the time of day was set, before the new time is used."""
        self._followers.append(moved)

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        wall, monotonic_s = self._wall(), self.monotonic()
        expected = self._at + timedelta(seconds=monotonic_s - self._at_s)
        if abs(wall - expected) < JUMP:
            return wall
        self._at, self._at_s = wall, monotonic_s
        jump = ClockJump(wall - expected, expected)
        for moved in self._followers:
            moved(jump)
        return wall
