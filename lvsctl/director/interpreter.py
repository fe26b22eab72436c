"""Settings of the Python interpreter that keep the event loop running beside busy threads."""

import gc
import sys

SWITCH_INTERVAL_S = 0.001
FULL_COLLECTIONS_EVERY = 200
"""Collections of the middle generation for each of the oldest; Python's default is 10."""


def favour_the_event_loop() -> None:
    """Have the interpreter hold up the event loop as little as it can.

    To be called when everything is imported and built: what is loaded by then stays. Without this
    each full collection walks all of it again, some 60 ms in which nothing else runs, and a
    thread that computes keeps the interpreter for 5 ms whenever the loop wants it back. A farm of
    ten thousand servers still takes 30 ms to walk, and is no garbage: that is done rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTIONS_EVERY)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
