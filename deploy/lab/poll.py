"""Waiting for something to become so."""

import time
from collections.abc import Callable
from typing import TypeVar

from deploy.lab.errors import LabError

T = TypeVar("T")
_PAUSE_S = 0.02


def poll(
    look: Callable[[], T],
    within_s: float,
    until: Callable[[T], object] = bool,
    *,
    pause_s: float = _PAUSE_S,
) -> T:
    """Look again and again until what is seen is as it should be.

    Args:
        look: Returns what is to be seen now.
        within_s: For how long; three times what is expected is a good bound in a guest.
        until: Whether this is it; whether it is true, if not given.
        pause_s: Between two looks; longer where looking takes the time of what is looked at.

    Returns:
        What was seen at last.

    Raises:
        LabError: The time is over; the text shows what was seen last.
    """
    deadline = time.monotonic() + within_s
    while not until(seen := look()):
        if time.monotonic() > deadline:
            raise LabError(f"not seen within {within_s:g} s; at last: {seen!r}")
        time.sleep(pause_s)
    return seen
