"""What a daemon logs can be read where it goes: journald, or whatever reads JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.typing import EventDict

from lvsctl.logs import render_for_journal

LOGS = """
import structlog
from lvsctl.logs import configure_logging
configure_logging()
structlog.get_logger().warning("drift repaired", service="web", by=["a b", 1])
"""


def logged(log: Path, journal: str | None = None) -> str:
    """Return what a process logs into a file, which may be the journal's."""
    with log.open("w") as file:
        stat = os.fstat(file.fileno())
        stream = journal or f"{stat.st_dev}:{stat.st_ino}"
        environment = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", LOGS], stderr=file, env=environment, check=True)
    return log.read_text()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"level": "info", "event": "director runs"}, "<6>director runs"),
        ({"level": "error", "event": "lost", "vip": "192.0.2.1"}, "<3>lost vip=192.0.2.1"),
        ({"level": "debug", "event": "a", "why": 'no "x"'}, '<7>a why="no \\"x\\""'),
        ({"level": "critical", "event": "a", "exception": "b c\nd"}, '<2>a exception="b c\\nd"'),
        ({"level": "warning", "event": "a", "kept": True, "of": None}, "<4>a kept=true of="),
    ],
)
def test_a_line_for_the_journal(event: EventDict, line: str) -> None:
    """One line, with its priority, its text first, and fields as name=value."""
    assert line == render_for_journal(None, "", dict(event))


def test_the_journal_gets_text(tmp_path: Path) -> None:
    """It is recognized as systemd says: by device and inode of the stream."""
    assert "<4>drift repaired service=web by=\"['a b', 1]\"\n" == logged(tmp_path / "log")


def test_anything_else_gets_json(tmp_path: Path) -> None:
    """Also when the journal is the stream of a parent process."""
    line = json.loads(logged(tmp_path / "log", journal="8:1"))
    assert ("drift repaired", "warning", "web") == (line["event"], line["level"], line["service"])
    assert "timestamp" in line
