"""The stored state as the event loop has it, with what is known of health at this moment."""

from collections.abc import Callable, Mapping
from datetime import datetime

from lvsctl.director.state import State
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health


class LiveState:
    """What is stored, and what health makes of it; lives on the director's event loop.

    Attributes:
        stored: The stored state, without live health.

    Args:
        stored: At the start.
        health: Returns the health of every checked server.
        now: The time of day, in UTC.
    """

    def __init__(
        self,
        stored: State,
        health: Callable[[], Mapping[TargetId, Health]],
        now: Callable[[], datetime],
    ) -> None:
        self.stored = stored
        self._health = health
        self._now = now

    @property
    def current(self) -> State:
        """The farm and its status, as far as the reconciler has been woken for it."""
        now = self._now()  # first: what is known of health moves with it
        return self.stored.seen(self._health(), now)
