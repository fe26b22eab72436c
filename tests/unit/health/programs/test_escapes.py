"""All processes that a program starts are killed, however they try to escape."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab.poll import poll
from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Passed
from lvsctl.health.probes import exec  # noqa: A004 - the check's type
from lvsctl.health.programs.client import OwnPrograms
from lvsctl.health.programs.messages import MAX_TIMEOUT_S
from tests.unit.health.programs.program_folders import ROOT, TARGET, is_dead

LONG_S = 60.0
NOBODY_ELSE = 65533 if ROOT else None
"""Limit processes, so that a fork bomb leaves some for the programs of other tests."""
PYTHON = "#!/usr/bin/env -S python3 -IS\n"

DOUBLE_FORK = """
import os, sys, time
started = sys.argv[1]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1), os.close(2)
        with open(started, "a") as file:
            print(os.getpid(), file=file)
        time.sleep(1000)
    os._exit(0)
os.wait()
while not open(started).read().endswith("\\n"):
    time.sleep(0.01)
"""
BOMB = """
import os, sys, time
os.close(1), os.close(2)
started = sys.argv[1]
with open(started, "a") as file:
    print(os.getpid(), file=file)
while True:
    time.sleep(0.02)
    try:
        if os.fork() == 0:
            os.setsid()
            with open(started, "a") as file:
                print(os.getpid(), file=file)
    except OSError:
        time.sleep(0.1)
"""
CHAIN = """
import os, sys
import time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
if os.fork():
    time.sleep(1000)
os.close(1), os.close(2)
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.write(file, b"%d\\n" % os.getpid())
"""


@contextlib.contextmanager
def program(folder: Path, script: str) -> Iterator[tuple[OwnPrograms, ExecRequest]]:
    """Write a program that records its processes in the file "started", and a service for it."""
    started = folder / "started"
    started.touch()
    started.chmod(0o666)
    (folder / "check").write_text(PYTHON + script)
    (folder / "check").chmod(0o755)
    with contextlib.closing(OwnPrograms(folder, NOBODY_ELSE, os.geteuid())) as programs:
        yield programs, ExecRequest("check", (str(started),))


def started(folder: Path) -> set[int]:
    """Return the processes recorded so far; living ones keep recording."""
    lines = (folder / "started").read_text().splitlines()
    return {int(line) for line in lines if line.isdecimal()}


def test_a_child_in_a_session_of_its_own_is_dead_when_its_program_is_judged(folder: Path) -> None:
    """Even if its parent exited before the program, and it does not hold the output open."""
    with program(folder, DOUBLE_FORK) as (programs, request):
        outcome = asyncio.run(exec.probe(request, TARGET, LONG_S, programs))
        assert isinstance(outcome, Passed)
        assert 1 == len(started(folder))
        assert all(map(is_dead, started(folder)))


@pytest.mark.parametrize(
    ("script", "processes"),
    [(DOUBLE_FORK + "time.sleep(1000)", 1), (BOMB, 50), (CHAIN, 50)],
    ids=["double fork", "fork bomb", "chain of forks"],
)
def test_no_process_survives_a_cancelled_probe(folder: Path, script: str, processes: int) -> None:
    """Not even those forked by one that has just died."""

    async def give_up(programs: OwnPrograms, request: ExecRequest) -> None:
        probing = asyncio.create_task(exec.probe(request, TARGET, MAX_TIMEOUT_S, programs))
        await asyncio.to_thread(poll, lambda: len(started(folder)) >= processes, LONG_S)
        probing.cancel()
        await asyncio.wait([probing])

    with program(folder, script) as (programs, request):
        asyncio.run(give_up(programs, request))
        poll(lambda: all(map(is_dead, started(folder))), LONG_S)
