"""Caches what follows from a value for as long as the same value is asked about."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


def latest(function: Callable[[ArgumentT], ResultT]) -> Callable[[ArgumentT], ResultT]:
    """Cache the latest result of a function of one frozen value, by the identity of that value.

    Servers of a pool come one after the other and share most values; hashing such a value, as
    :func:`functools.lru_cache` does, takes longer than what is cached. Safe in any thread.
    """
    cached: tuple[ArgumentT, ResultT] | None = None

    @wraps(function)
    def call(argument: ArgumentT) -> ResultT:
        nonlocal cached
        found = cached  # read once: another thread may replace it
        if found is None or found[0] is not argument:
            found = cached = (argument, function(argument))
        return found[1]

    return call
