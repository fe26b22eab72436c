"""Durations: what people write, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.times import (
    format_duration,
    format_short_duration,
    parse_duration,
    parse_short_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("2s", 2), ("300s", 300), ("5m", 300), ("12h", 43200), ("31d", 2678400)],
)
def test_a_number_with_its_unit_is_read(text: str, seconds: int) -> None:
    """Every unit counts in seconds."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "-5s", "1.5s", "5 s", "5S", "5s\n", "5ms", "1h30m", "٣s", "9" * 5000 + "s"],
)
def test_anything_else_is_refused(text: str) -> None:
    """What is no duration is refused with what one looks like."""
    with pytest.raises(ValueError, match="5m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (1, "1s"), (90, "90s"), (300, "5m"), (7200, "2h"), (86400, "1d")],
)
def test_the_largest_exact_unit_is_written(seconds: int, text: str) -> None:
    """A person reads 5m, not 300s."""
    assert text == format_duration(seconds)


@given(st.integers(0, 10**8))
def test_what_is_written_is_read_back(seconds: int) -> None:
    """Formatting loses nothing."""
    assert seconds == parse_duration(format_duration(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("1ms", 0.001), ("500ms", 0.5), ("2s", 2), ("5m", 300)]
)
def test_short_durations_go_down_to_milliseconds(text: str, seconds: float) -> None:
    """Read, and written again as they were."""
    assert seconds == parse_short_duration(text)
    assert text == format_short_duration(seconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "-5ms", "1.5s", "5 ms", "5MS", "5us", "5ms\n"])
def test_any_other_short_duration_is_refused(text: str) -> None:
    """With what one looks like."""
    with pytest.raises(ValueError, match="500ms"):
        parse_short_duration(text)


@given(st.integers(0, 10**9 - 1))
def test_no_millisecond_is_lost(milliseconds: int) -> None:
    """However long."""
    text = format_short_duration(milliseconds / 1000)
    assert milliseconds / 1000 == parse_short_duration(text)
