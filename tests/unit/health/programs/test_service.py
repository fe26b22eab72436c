"""The program service: callers, orders, limits, and clean-up."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab.poll import poll
from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Inconclusive, Passed, ProbeFailed
from lvsctl.health.probes import exec  # noqa: A004 - the check's type
from lvsctl.health.programs.client import OwnPrograms, SystemdPrograms
from lvsctl.health.programs.messages import Ended, Order, Refused, decode_answer, encode
from lvsctl.reasons.probes import PROGRAM_FAILED, PROGRAM_NOT_RUN
from tests.unit.health.programs.program_folders import NOBODY, ROOT, TARGET, is_dead, write

LONG_S = 20.0
ORDER = Order("check", (), "198.51.100.10", "192.0.2.11", 80, LONG_S)
COMMAND = [sys.executable, "-m", "lvsctl.health.programs.main"]


class Started:
    """A service behind a socket, as systemd starts it.

    Attributes:
        path: Of the socket.
        process: The service.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = folder / "socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            self.path.chmod(0o666)
            listener.listen()
            user = [] if NOBODY is None else ["--run-as", str(NOBODY)]
            owner = ["--owner", str(os.geteuid())]
            self.process = subprocess.Popen(
                [*COMMAND, "--exec-dir", str(folder), *user, *owner, *options],
                stdin=listener.fileno(),
            )

    def call(self, sent: bytes) -> bytes:
        """Send bytes, close for writing, and return the whole answer."""
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(LONG_S)
            caller.connect(str(self.path))
            return talk(caller, sent)

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        self.process.terminate()
        return self.process.wait(LONG_S)


def talk(caller: socket.socket, sent: bytes) -> bytes:
    """Send bytes over a connection and return the whole answer."""
    received = b""
    with contextlib.suppress(ConnectionError):
        caller.sendall(sent)
        while data := caller.recv(4096):
            received += data
    return received


@pytest.fixture
def started(folder: Path) -> Iterator[Started]:
    service = Started(folder)
    yield service
    service.stop()


def test_a_program_is_run_and_its_end_reported(folder: Path, started: Started) -> None:
    """To the caller."""
    write(folder, 'echo "$LVSCTL_VIP $LVSCTL_RIP $LVSCTL_PORT"; exit 3')
    answer = decode_answer(started.call(encode(ORDER)))
    assert Ended(3, "198.51.100.10 192.0.2.11 80") == answer


def test_resources_are_limited(folder: Path, started: Started) -> None:
    """Address space, processes, files, processor time, and no core."""
    write(folder, "ulimit -v; ulimit -u; ulimit -n; ulimit -f; ulimit -t; ulimit -c")
    (folder / "check").write_text((folder / "check").read_text().replace("/bin/sh", "/bin/bash"))
    answer = decode_answer(started.call(encode(ORDER)))
    assert Ended(0, "2097152 512 256 16384 21 0") == answer


def test_a_program_gains_no_privileges(folder: Path, started: Started) -> None:
    """By executing set-user-ID programs."""
    write(folder, "grep -E 'Cap(Prm|Eff|Amb)|NoNewPrivs' /proc/self/status | cut -f2")
    nothing = "0000000000000000"
    answer = decode_answer(started.call(encode(ORDER)))
    assert Ended(0, f"{nothing} {nothing} {nothing} 1") == answer


@pytest.mark.parametrize("sent", [b"\n", b"{}\n", b"x" * 1_000_000, b'{"program": "check"}\n'])
def test_an_invalid_order_is_refused(started: Started, sent: bytes) -> None:
    """And has no effect."""
    received = started.call(sent)
    assert not received or isinstance(decode_answer(received), Refused)


def test_another_user_is_refused(folder: Path, started: Started) -> None:
    """By the credentials of the socket's peer."""
    write(folder, "exit 0")
    assert Ended(0, "") == decode_answer(started.call(encode(ORDER)))
    if ROOT:
        assert b"" == as_user(1234, started)


def as_user(user: int, started: Started) -> bytes:
    """Call as another user."""
    os.seteuid(user)
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(LONG_S)
            caller.connect(str(started.path))
            os.seteuid(0)
            return talk(caller, encode(ORDER))
    finally:
        os.seteuid(0)


def test_a_configured_caller_is_accepted(folder: Path) -> None:
    """The director's user."""
    write(folder, "exit 0")
    service = Started(folder, "--caller", "1234")
    try:
        answer = as_user(1234, service) if ROOT else service.call(encode(ORDER))
        assert Ended(0, "") == decode_answer(answer)
    finally:
        service.stop()


def test_a_program_dies_with_the_service(folder: Path, started: Started) -> None:
    """With all processes that it started."""
    write(folder, f"setsid -f sleep 1000; echo $$ >{folder}/pid; exec sleep 1000")
    (folder / "pid").touch()
    (folder / "pid").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(started.path))
        caller.sendall(encode(ORDER))
        pid = int(poll((folder / "pid").read_text, LONG_S))
        assert 0 == started.stop()
        assert is_dead(pid)


def test_the_program_of_a_killed_watcher_is_killed(folder: Path, started: Started) -> None:
    """By the service, which adopts it."""
    write(folder, f"echo $$ $PPID >{folder}/pids; exec sleep 1000")
    (folder / "pids").touch()
    (folder / "pids").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(started.path))
        caller.sendall(encode(ORDER))
        pid, watcher = map(int, poll((folder / "pids").read_text, LONG_S).split())
        os.kill(watcher, signal.SIGKILL)
        poll(lambda: is_dead(pid), LONG_S)


def test_a_service_that_ended_is_restarted(folder: Path) -> None:
    """By the director that started it."""
    write(folder, "exit 0")
    with contextlib.closing(OwnPrograms(folder, NOBODY, os.geteuid())) as programs:
        programs._process.kill()
        programs._process.wait()
        probing = exec.probe(ExecRequest("check"), TARGET, LONG_S, programs)
        assert isinstance(asyncio.run(probing), Passed)


def test_a_missing_service_is_inconclusive(tmp_path: Path) -> None:
    """The reason names the service, and the command to look at it."""
    programs = SystemdPrograms(tmp_path / "socket")
    outcome = asyncio.run(exec.probe(ExecRequest("check"), TARGET, LONG_S, programs))
    assert (
        Inconclusive(
            PROGRAM_NOT_RUN(
                "check",
                error=f"check was not run: no answer from {tmp_path}/socket (No such file or "
                "directory): systemctl status lvsctl-exec.socket",
            )
        )
        == outcome
    )


def test_a_service_started_by_systemd(folder: Path, started: Started) -> None:
    """Judges by exit status in the same way."""
    write(folder, "exit 1")
    programs = SystemdPrograms(started.path)
    outcome = asyncio.run(exec.probe(ExecRequest("check"), TARGET, LONG_S, programs))
    assert isinstance(outcome, ProbeFailed)
    assert PROGRAM_FAILED("check", status="exited with 1", output="") == outcome.reason


@pytest.mark.parametrize("listening", [False, True], ids=["no socket", "not listening"])
def test_without_a_socket_it_says_how_to_start_it(folder: Path, *, listening: bool) -> None:
    """In one line."""
    with socket.socket(socket.AF_UNIX) as given, Path(os.devnull).open() as null:
        done = subprocess.run(
            [*COMMAND, "--exec-dir", str(folder)],
            stdin=given.fileno() if listening else null,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert 1 == done.returncode
    assert "start it with: systemctl start lvsctl-exec.socket" in done.stderr
    assert 1 == done.stderr.count("\n")
