"""The time of day, held against a clock that only runs forward.

The time of day may be set at any moment, by hand or because it was wrong at boot. Deadlines are
times of day, as they outlive the director and people read them. So when it is set, every
deadline that was made by the old time moves with it and keeps the time that it had left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

JUMP = timedelta(seconds=1)
"""A smaller step of the time of day matters to no deadline."""


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The time of day was set.

    Attributes:
        by: How far; negative where it was set back.
        before: The time that it would be had it not been set, in UTC.
    """

    by: timedelta
    before: datetime

    def moved(self, at: datetime, made: datetime | None) -> datetime:
        """Return what a moment becomes that was reckoned from another.

        Args:
            at: The moment, in UTC.
            made: The time of day when it was reckoned; None where that is not known. One that
                lies in the old time's future was reckoned by another, right clock: such is a
                deadline that a director reads before the clock of its host was set after boot.
        """
        return at + self.by if made is not None and made <= self.before else at

    def __str__(self) -> str:
        direction = "forward" if self.by > timedelta() else "back"
        seconds = abs(self.by).total_seconds()
        return f"the time of day was set {direction} by {seconds:.0f} s"


class Clock:
    """The one place that compares the time of day with a clock that only runs forward.

    It does so whenever it is asked for the time, so that nobody judges a deadline by a time that
    was set before the deadline has moved with it. It belongs to the event loop.

    Args:
        wall: The time of day, in UTC.
        monotonic: Seconds on a clock that only runs forward.
    """

    def __init__(self, wall: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._at, self._at_s = wall(), monotonic()
        self._followers: list[Callable[[ClockJump], None]] = []

    def follow(self, moved: Callable[[ClockJump], None]) -> None:
        """Have a function called when the time of day was set, before anybody learns of it."""
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
