"""Regular expressions over what a server answers, compiled and searched for in bounded time. Pure.

They are RE2's (https://github.com/google/re2/wiki/Syntax). A backtracking engine takes minutes for
an innocent ``(x+x+)+y`` and unrolls ``((a{1000}){1000}){1000}`` into gigabytes; RE2 refuses the
latter, keeps to a given amount of memory, and searches in time linear in the text and the pattern.
"""

import functools

from lvsctl.errors import LvsctlError

MAX_STEPS = 4000
"""Of a compiled pattern: about one for each character of it, in each copy that repetitions make."""
MAX_WORK = 64 << 20
"""Steps of a pattern times bytes of a text: up to 0.4 s, or twice that for a last newline."""

_MEMORY = 1 << 20
"""Bytes that RE2 may use for a pattern, what a search caches included."""
_KEPT = 256
"""Patterns, so that all of them together stay below 256 MiB; compiling takes 0.1 to 25 ms."""
_SHOWN = 80


class BadPattern(LvsctlError):
    """A text is not a regular expression, or too large a one."""


class TooMuchWork(LvsctlError):
    """A pattern with many steps is to be searched for in a long text."""


class Pattern:
    """A compiled regular expression over bytes; may be used in any thread.

    Attributes:
        steps: Up to MAX_STEPS.

    Raises:
        BadPattern: It is none.
    """

    def __init__(self, pattern: str) -> None:
        # Here, because the command line reads the farm's rules without the director's libraries.
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
            raise BadPattern(
                f"its repetitions make {self.steps} steps of it, more than {MAX_STEPS}"
            )

    def work(self, text: bytes) -> int:
        """Return how much a search in a text may take: steps times bytes.

        Raises:
            TooMuchWork: More than MAX_WORK.
        """
        work = self.steps * len(text)
        if work > MAX_WORK:
            raise TooMuchWork(
                f"{self._pattern!r} has {self.steps} steps and is searched for in up to "
                f"{MAX_WORK // self.steps} bytes, not in {len(text)}: write it with fewer "
                "repetitions"
            )
        return work

    def is_in(self, text: bytes) -> bool:
        """Tell whether the pattern matches somewhere; other threads run meanwhile.

        ``$`` matches before a newline that ends the text too, as in Python and Perl: most bodies
        have one, and few patterns mention it.
        """
        if self._compiled.search(text) is not None:
            return True
        return text.endswith(b"\n") and self._compiled.search(text[:-1]) is not None


def compiled(pattern: str) -> Pattern:
    """Return a pattern, compiled once for all who ask.

    Raises:
        BadPattern: It is none.
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
