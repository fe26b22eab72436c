"""Waiting for something to become so."""

import time
from collections.abc import Callable
from typing import TypeVar

from deploy.lab.errors import LabError

T = TypeVar("T")
_SHORTEST_PAUSE_S = 0.02


def poll(look: Callable[[], T], within_s: float, until: Callable[[T], object] = bool) -> T:
    """Look again and again until what is seen is as it should be.

    Args:
        look: Returns what is to be seen now.
        within_s: For how long; three times what is expected is a good bound in a guest.
        until: Whether this is it; whether it is true, if not given.

    Returns:
        What was seen at last.

    Raises:
        LabError: The time is over; the text shows what was seen last.
    """
    began = time.monotonic()
    deadline = began + within_s
    while not until(seen := look()):
        looked = time.monotonic()
        if looked > deadline:
            raise LabError(f"not seen within {within_s:g} s; at last: {seen!r}")
        # Whoever looks takes the guest's only processor from those who are to make it so: a third
        # of it at most.
        time.sleep(max(_SHORTEST_PAUSE_S, 2 * (looked - began)))
        began = time.monotonic()
    return seen
