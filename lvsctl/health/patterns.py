"""Regular expressions over what a server answers: searched for, but never for long. Pure.

:mod:`re` cannot be stopped, and an innocent ``.*healthy`` keeps it busy for minutes over a long
line without it, in which no other server is asked. Therefore these are those of the package
:mod:`regex`, which reads the same and can be.
"""

import functools
from collections.abc import Callable

import regex

from lvsctl.errors import LvsctlError

SEARCHED_FOR_S = 0.05
"""Of processor time; all other probes wait meanwhile."""


class BadPattern(LvsctlError):
    """A text is no regular expression."""


class TooSlow(LvsctlError):
    """What a pattern makes of a text cannot be told in reasonable time."""


@functools.lru_cache(maxsize=4096)
def searcher(pattern: str) -> Callable[[bytes], bool]:
    """Return what tells whether a pattern, as UTF-8, matches somewhere in bytes.

    It raises TooSlow where that takes longer than SEARCHED_FOR_S.

    Raises:
        BadPattern: It is none.
    """
    try:
        compiled = regex.compile(pattern.encode())
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise BadPattern(str(error)) from error

    def is_in(text: bytes) -> bool:
        try:
            return compiled.search(text, timeout=SEARCHED_FOR_S) is not None
        except TimeoutError as error:
            raise TooSlow(
                f"{pattern!r} cannot be searched for in {len(text)} bytes within "
                f"{SEARCHED_FOR_S * 1000:g} ms: write it with fewer repetitions"
            ) from error

    return is_in
