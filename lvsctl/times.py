"""Durations as people write them: ``2s``, ``5m``, ``12h``, ``31d``; short ones ``500ms``. Dates."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

SECONDS: Mapping[str, int] = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Length of each unit, largest first."""

DURATION_PATTERN = r"^[0-9]{1,9}[smhd]$"
DURATION_ALLOWED = "a whole number with its unit: s, m, h or d, like 30s, 5m, 31d"


def parse_duration(text: str) -> int:
    """Return a duration in seconds.

    Raises:
        ValueError: Not a duration; says what is allowed.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration; write {DURATION_ALLOWED}")
    return int(text[:-1]) * SECONDS[text[-1]]


def format_duration(seconds: int) -> str:
    """Format seconds in the largest unit that divides them exactly."""
    for unit, length in SECONDS.items():
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return "0s"


SHORT_DURATION_PATTERN = r"^[0-9]{1,9}(ms|[smhd])$"
SHORT_DURATION_ALLOWED = "a whole number with its unit: ms, s, m, h or d, like 500ms, 2s"
_MS = 1000


def parse_short_duration(text: str) -> float:
    """Return a duration in seconds; the text may be in milliseconds.

    Raises:
        ValueError: Not a duration; says what is allowed.
    """
    if not re.fullmatch(SHORT_DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration; write {SHORT_DURATION_ALLOWED}")
    if text.endswith("ms"):
        return int(text[:-2]) / _MS
    return float(parse_duration(text))


def format_short_duration(seconds: float) -> str:
    """Format seconds, rounded to milliseconds, in the largest unit that divides them exactly."""
    milliseconds = round(seconds * _MS)
    if milliseconds % _MS:
        return f"{milliseconds}ms"
    return format_duration(milliseconds // _MS)


def format_utc(at: datetime) -> str:
    """Format a UTC time as ISO 8601, to the second."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def parse_moment(text: str) -> datetime:
    """Return the moment in UTC that a date (its beginning) or a time stands for.

    Raises:
        ValueError: It is neither; says what is allowed.
    """
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(
        f"{text!r} is neither a date like 2027-03-01 nor a time like 2027-03-01T06:00:00Z"
    )
