"""The last probes of a tunnel, and what they say. Pure."""

from collections import deque
from dataclasses import dataclass

WINDOW = 20
"""So many probes are kept, one for each second."""
LOST_IN_A_ROW = 3
"""So many unanswered ones mean that the other end does not answer."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Probes in numbers.

    Attributes:
        sent: How many.
        lost: How many of them were not answered.
        round_trip_us: Mean of the answered ones, in microseconds; None without.
    """

    sent: int = 0
    lost: int = 0
    round_trip_us: int | None = None


class Window:
    """The last probes of one peer.

    Args:
        most: So many are kept.
    """

    def __init__(self, most: int = WINDOW) -> None:
        self._round_trips_s: deque[float | None] = deque(maxlen=most)
        self._lost_in_a_row = 0

    def add(self, round_trip_s: float | None) -> None:
        """Take note of a probe; None for one without an answer."""
        self._round_trips_s.append(round_trip_s)
        self._lost_in_a_row = 0 if round_trip_s is not None else self._lost_in_a_row + 1

    @property
    def answers(self) -> bool:
        """The peer answered lately."""
        return self._lost_in_a_row < min(LOST_IN_A_ROW, len(self._round_trips_s))

    @property
    def silent_s(self) -> int:
        """For how many seconds, and so probes, the peer has not answered."""
        return self._lost_in_a_row

    @property
    def probes(self) -> Probes:
        """The window in numbers."""
        answered = [trip for trip in self._round_trips_s if trip is not None]
        sent = len(self._round_trips_s)
        mean_us = round(sum(answered) / len(answered) * 1e6) if answered else None
        return Probes(sent, sent - len(answered), mean_us)
