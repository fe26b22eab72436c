"""Logging, to standard error. Daemons write JSON lines unless standard error is a terminal."""

import sys

import structlog


def configure_command_logging() -> None:
    """Set up structlog for a command, keeping standard output for its result."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure_logging() -> None:
    """Set up structlog for a daemon."""
    is_terminal = sys.stderr.isatty()
    renderers: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if is_terminal
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
