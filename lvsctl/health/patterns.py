"""Regular expressions over server responses, with bounded time and memory. Pure.

They are RE2 (https://github.com/google/re2/wiki/Syntax). A backtracking engine takes minutes on an
innocent ``(x+x+)+y`` and expands ``((a{1000}){1000}){1000}`` to gigabytes; RE2 refuses the latter,
respects a memory limit, and searches in time linear in text and pattern.
"""

import functools

from lvsctl.errors import LvsctlError

MAX_STEPS = 4000
"""Limit on the size of a compiled pattern: about one step per character, times repetitions."""
MAX_WORK = 64 << 20
"""Limit on steps times bytes of text: up to 0.4 s, twice that if the text ends with a newline."""

_MEMORY = 1 << 20
"""Bytes that RE2 may use per pattern, including its search cache."""
_KEPT = 256
"""Compiled patterns in the cache: at most 256 MiB in all. Compiling takes 0.1 to 25 ms."""
_SHOWN = 80


class BadPattern(LvsctlError):
    """Not a regular expression, or too large."""


class TooMuchWork(LvsctlError):
    """The pattern is too complex for a text this long."""


class Pattern:
    """A compiled regular expression over bytes; thread-safe.

    Attributes:
        steps: Size of the compiled pattern, at most MAX_STEPS.

    Raises:
        BadPattern: The pattern is invalid or too large.
    """

    def __init__(self, pattern: str) -> None:
        # Imported here: the command line loads the farm's rules without the director's libraries.
        import re2  # noqa: PLC0415

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # a byte is a character: any body is text
        options.max_mem = _MEMORY
        options.never_capture = True
        options.log_errors = False
        try:
            self._compiled = re2.compile(pattern.encode(), options)
        except re2.error as error:
            raise BadPattern(_shortened(error.args[0].decode(errors="replace"))) from error
        except UnicodeEncodeError as error:
            raise BadPattern(error.reason) from error
        self._pattern = pattern
        self.steps: int = self._compiled.programsize
        if self.steps > MAX_STEPS:
            raise BadPattern(f"its repetitions expand to {self.steps} steps, more than {MAX_STEPS}")

    def work(self, text: bytes) -> int:
        """Return the cost of searching a text: steps times bytes.

        Raises:
            TooMuchWork: More than MAX_WORK.
        """
        work = self.steps * len(text)
        if work > MAX_WORK:
            raise TooMuchWork(
                f"{self._pattern!r} has {self.steps} steps, so it can search at most "
                f"{MAX_WORK // self.steps} bytes, not {len(text)}: write it with fewer repetitions"
            )
        return work

    def is_in(self, text: bytes) -> bool:
        """Tell whether the pattern matches anywhere; releases the GIL while searching.

        ``$`` also matches before a trailing newline, as in Python and Perl: most bodies end with
        one, and few patterns allow for it.
        """
        if self._compiled.search(text) is not None:
            return True
        return text.endswith(b"\n") and self._compiled.search(text[:-1]) is not None


def compiled(pattern: str) -> Pattern:
    """Return a compiled pattern from the cache, compiling it first if necessary.

    Raises:
        BadPattern: The pattern is invalid or too large.
    """
    result = _attempted(pattern)
    if isinstance(result, BadPattern):
        raise result
    return result


@functools.lru_cache(maxsize=_KEPT)
def _attempted(pattern: str) -> Pattern | BadPattern:
    try:
        return Pattern(pattern)
    except BadPattern as error:
        return error.with_traceback(None)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
