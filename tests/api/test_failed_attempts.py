"""However many tokens are guessed, the log tells of it in a few lines."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from lvsctl.director.access.failed_attempts import MAX_SOURCES, OTHERS, WINDOW_S, FailedAttempts

Log = list[tuple[str, str, int]]


class Windows:
    """Ends windows when a test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, after_s: float, call: Callable[[], None]) -> None:
        assert WINDOW_S == after_s
        self.due.append(call)

    def end(self) -> None:
        """Let the one window that is open end."""
        (call,) = self.due
        self.due.clear()
        call()


@pytest.fixture
def windows() -> Windows:
    return Windows()


def logged(act: Callable[[], object]) -> Log:
    """Return what an act logs: event, source, and how often."""
    with capture_logs() as logs:
        act()
    return [(line["event"], line["source"], line.get("times", 1)) for line in logs]


def test_the_first_of_a_source_is_logged_at_once_and_the_others_are_counted(
    windows: Windows,
) -> None:
    """A source that tried once is not named again."""
    failed = FailedAttempts(windows)
    assert [("wrong token", "a", 1)] == logged(lambda: failed.note("a"))
    assert [("wrong token", "b", 1)] == logged(lambda: failed.note("b"))
    assert [] == logged(lambda: [failed.note("a") for _ in range(1000)])
    assert [("wrong token again", "a", 1000)] == logged(windows.end)


def test_a_window_begins_with_an_attempt(windows: Windows) -> None:
    """Where nobody guesses, nothing runs."""
    failed = FailedAttempts(windows)
    failed.note("a")
    windows.end()
    assert [] == windows.due
    assert [("wrong token", "a", 1)] == logged(lambda: failed.note("a"))
    assert 1 == len(windows.due)


def test_sources_without_end_are_counted_as_one(windows: Windows) -> None:
    """An IPv6 network has more addresses than a log has lines."""
    failed = FailedAttempts(windows)
    lines = logged(lambda: [failed.note(str(number)) for number in range(10_000)])
    assert MAX_SOURCES + 1 == len(lines)
    assert ("wrong token", OTHERS, 1) == lines[-1]
    again = logged(windows.end)
    assert [("wrong token again", OTHERS, 10_000 - MAX_SOURCES - 1)] == again
