"""Tests again and again in one guest; each run is a fork of a process with the libraries loaded."""

import os
import shlex
import sys
from pathlib import Path

# Loaded for the forks. Nothing of the project, which may be edited between two runs, but what must
# be first.
from deploy.lab import memory

# isort: split
import fastapi  # noqa: F401
import httpx  # noqa: F401
import hypothesis  # noqa: F401
import pyroute2  # noqa: F401
import pytest
import structlog  # noqa: F401
import uvicorn  # noqa: F401

_OPTIONS = (
    *("-p", "deploy.lab.fixtures", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
    *("-m", "kernel", "--color=yes"),
    # The plugins of the libraries above: their assertions are not ours to rewrite.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def run_again_and_again(arguments: list[str]) -> None:
    """Run pytest with these arguments, and then with what is typed, until the end of the input."""
    memory.everything_is_loaded()
    while True:
        _run(arguments)
        try:
            typed = input("\nEnter runs it again, other arguments for pytest others; Ctrl-D ends: ")
        except EOFError:
            return
        arguments = shlex.split(typed) or arguments


def _run(arguments: list[str]) -> None:
    # Files that were edited on the host meanwhile are read anew.
    _DROP_CACHES.write_text("3")
    pid = os.fork()
    if pid == 0:
        os._exit(pytest.main([*_OPTIONS, *arguments]))
    os.waitpid(pid, 0)


if __name__ == "__main__":
    run_again_and_again(sys.argv[1:])
