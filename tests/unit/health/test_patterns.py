"""Patterns: usual semantics, with bounded memory and time."""

import contextlib
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.health.patterns import MAX_STEPS, MAX_WORK, BadPattern, TooMuchWork, compiled

LONG_LINE = b"x" * (1 << 20)
ENOUGH_MEMORY = 64 << 20
REPETITIONS = ("", "*", "+", "?", "{2}", "{1,3}", "{0,30}", "{1000}", "{3000}", "{2,}")


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Limit this process to slightly more memory than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ENOUGH_MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    ("pattern", "text", "is_in"),
    [
        ("fine", b"all is fine here", True),
        ("^fine$", b"all is fine here", False),
        ("^fine$", b"fine\n", True),
        ("^fine\n$", b"fine\n", True),
        ("^fine$", b"fine\n\n", False),
        ("(?m)^fine$", b"all is\nfine\n", True),
        ("é", b"caf\xc3\xa9\xff", True),
        ("a.*z", b"a\xff\x00z", True),
        ("a.*z", b"a\nz", False),
        (r'"status": *"(up|ok)"', b'{"status":  "ok"}', True),
        (".*healthy", LONG_LINE, False),
        (r"\s*ok", b" " * (1 << 20), False),
        ("(x+x+)+y", LONG_LINE, False),
        ("a{99999999999999999999}", b"a{99999999999999999999}", True),
    ],
)
def test_searching_for_a_pattern(pattern: str, text: bytes, *, is_in: bool) -> None:
    """Anywhere in the bytes, however many, and in linear time."""
    assert is_in is compiled(pattern).is_in(text)


@pytest.mark.parametrize(
    "pattern", ["(", "(?u)a", "\ud800", "(" * 500, "a**", "(?=a)", r"(a)\1", "a{1001}"]
)
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    """With the error; the second time it is not compiled again."""
    for _ in range(2):
        with pytest.raises(BadPattern, match=r"^[ -~]{5,80}…?$"):
            compiled(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "((a{1000}){1000}){1000}",
        "(a{1000}){3000}",
        ".{1000}" * 140,
        ".{0,1000}y" * 100,
        "((((a{0,5}){0,5}){0,5}){0,5})" * 30,
    ],
)
def test_an_enormous_pattern_is_refused_cheaply(pattern: str) -> None:
    """In a few megabytes and milliseconds rather than gigabytes and minutes."""
    with little_memory(), pytest.raises(BadPattern):
        compiled(pattern)


def repeated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return groups of a pattern or two, repeated."""
    repetition = st.sampled_from(REPETITIONS)
    return st.one_of(
        st.builds("({}){}".format, inner, repetition),
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{}){}".format, inner, inner, repetition),
    )


@given(st.recursive(st.sampled_from(["a", ".", "[^a]", r"\w"]), repeated, max_leaves=40))
def test_a_compiled_pattern_is_small(pattern: str) -> None:
    """Memory and steps are bounded, however repetitions are nested."""
    with little_memory():
        try:
            assert compiled(pattern).steps <= MAX_STEPS
        except BadPattern:
            assert "{" in pattern or "*" in pattern or "+" in pattern or "?" in pattern


def plain(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return patterns with the same meaning in all engines."""
    return st.one_of(
        st.builds("({}){}".format, inner, st.sampled_from(["", "*", "?", "{2}"])),
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{})".format, inner, inner),
    )


@given(
    st.recursive(st.sampled_from(["a", "b", ".", "^", "[^a]", r"\n"]), plain, max_leaves=6),
    st.sampled_from(["", "$"]),
    st.text("ab\n", max_size=8),
)
def test_patterns_match_as_in_python(inner: str, end: str, text: str) -> None:
    """Patterns valid in both engines match alike, except that ``$`` is stricter."""
    pattern = f"({inner}){end}"
    expected = re.search(pattern, text) is not None
    assert expected is compiled(pattern).is_in(text.encode())


def test_many_steps_are_not_searched_for_in_a_long_text() -> None:
    """The product of steps and length is bounded."""
    pattern = compiled("(x{0,30}y){20}")
    longest = MAX_WORK // pattern.steps
    assert pattern.work(bytes(longest)) <= MAX_WORK
    with pytest.raises(TooMuchWork, match=rf"{pattern.steps} steps.* at most {longest} bytes, not"):
        pattern.work(bytes(longest + 1))
