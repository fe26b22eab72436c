"""Patterns are searched for like any others, and never for long."""

import time

import pytest

from lvsctl.health.patterns import SEARCHED_FOR_S, BadPattern, TooSlow, searcher

LONG_LINE = b"x" * (1 << 20)


@pytest.mark.parametrize(
    ("pattern", "text", "is_in"),
    [
        ("fine", b"all is fine here", True),
        ("^fine$", b"all is fine here", False),
        ("(?m)^fine$", b"all is\nfine\n", True),
        ("é", b"caf\xc3\xa9\xff", True),
        (r'"status": *"(up|ok)"', b'{"status":  "ok"}', True),
        (".*healthy", LONG_LINE, False),
        (r"\s*ok", b" " * (1 << 20), False),
    ],
)
def test_a_pattern_is_found_or_not(pattern: str, text: bytes, *, is_in: bool) -> None:
    """Anywhere in the bytes, however many."""
    assert is_in is searcher(pattern)(text)


def test_a_search_is_given_up() -> None:
    """Soon, and with what to do about it."""
    before_s = time.process_time()
    with pytest.raises(TooSlow, match="in 1048576 bytes within 50 ms: write it with fewer"):
        searcher("(x+x+)+y")(LONG_LINE)
    assert time.process_time() - before_s < 20 * SEARCHED_FOR_S


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(?u)a", "\ud800", "(" * 500])
def test_what_is_no_pattern_is_said(pattern: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(BadPattern, match=r"\w"):
        searcher(pattern)
