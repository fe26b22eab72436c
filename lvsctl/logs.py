"""How lvsctl logs: to standard error. Daemons write JSON lines where no person looks on."""

import sys

import structlog


def configure_command_logging() -> None:
    """Set up structlog for a command, whose standard output holds its result alone."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure_logging() -> None:
    """Set up structlog for a daemon's whole process."""
    to_a_person = sys.stderr.isatty()
    renderers: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if to_a_person
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
