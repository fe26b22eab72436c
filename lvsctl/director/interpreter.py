"""Settings of the Python interpreter that keep the event loop running beside busy threads."""

import gc
import sys

SWITCH_INTERVAL_S = 0.001


def favour_the_event_loop() -> None:
    """Have the interpreter hold up the event loop as little as it can.

    To be called when everything is imported and built: what is loaded by then stays. Without this
    each full collection walks all of it again, some 200 ms in which nothing else runs, and a
    thread that computes keeps the interpreter for 5 ms whenever the loop wants it back.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
