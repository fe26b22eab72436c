"""Counts what a call executes: a measure of cost that no other process disturbs."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def executed_lines(call: Callable[[], object]) -> int:
    """Return how many lines of Python a call runs, each pass of a loop counted by itself.

    What the interpreter does in C, such as copying a dictionary, does not count.
    """
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401
        nonlocal lines
        lines += event == "line"
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # a collection calls whoever asked for it, as hypothesis does
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return lines
