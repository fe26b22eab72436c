"""Logging, to standard error: for a terminal, for journald, otherwise in JSON lines."""

import os
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3)'s, of structlog's levels."""
_render_fields = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def configure_command_logging() -> None:
    """Set up structlog for a command, keeping standard output for its result."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure_logging() -> None:
    """Set up structlog for a daemon."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, *_processors()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def render_for_journal(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render `<priority>text name=value …`; see sd-daemon(3). journald itself adds the time."""
    text, priority = event.pop("event"), _PRIORITIES[event.pop("level")]
    fields = _render_fields(None, "", event)
    return f"<{priority}>{text} {fields}".rstrip()


def _processors() -> Sequence[Processor]:
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    if sys.stderr.isatty():
        return (timestamp, structlog.dev.ConsoleRenderer())
    if _is_journal():
        return (structlog.processors.format_exc_info, render_for_journal)
    return (
        timestamp,
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(),
    )


def _is_journal() -> bool:
    """Tell whether standard error is what systemd connected to the journal; see systemd.exec(5)."""
    stream = os.environ.get("JOURNAL_STREAM")
    if stream is None:  # then standard error need not be a file at all
        return False
    connected = os.fstat(sys.stderr.fileno())
    return stream == f"{connected.st_dev}:{connected.st_ino}"
