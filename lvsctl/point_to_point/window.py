"""A sliding window over the last probes of a tunnel. Pure."""

from collections import deque
from dataclasses import dataclass

WINDOW = 20
"""Number of probes in the window, one per second."""
LOST_IN_A_ROW = 3
"""Lost probes in a row from which the other end counts as silent."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Statistics of probes.

    Attributes:
        sent: Number sent.
        lost: Number not answered.
        round_trip_us: Mean round-trip time in microseconds; None without answers.
    """

    sent: int = 0
    lost: int = 0
    round_trip_us: int | None = None


class Window:
    """The last probes of one peer.

    Args:
        size: Number of probes kept.
    """

    def __init__(self, size: int = WINDOW) -> None:
        self._round_trips_s: deque[float | None] = deque(maxlen=size)
        self._lost_in_a_row = 0

    def add(self, round_trip_s: float | None) -> None:
        """Add a probe's round-trip time in seconds; None if it was not answered."""
        self._round_trips_s.append(round_trip_s)
        self._lost_in_a_row = 0 if round_trip_s is not None else self._lost_in_a_row + 1

    @property
    def answers(self) -> bool:
        """Whether the peer has answered recently."""
        return self._lost_in_a_row < min(LOST_IN_A_ROW, len(self._round_trips_s))

    @property
    def silent_s(self) -> int:
        """Seconds, and thus probes, since the last answer."""
        return self._lost_in_a_row

    @property
    def probes(self) -> Probes:
        """Statistics of the window."""
        answered = [trip for trip in self._round_trips_s if trip is not None]
        sent = len(self._round_trips_s)
        mean_us = round(sum(answered) / len(answered) * 1e6) if answered else None
        return Probes(sent, sent - len(answered), mean_us)
