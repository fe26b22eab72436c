"""Whether a program finds a server well: a file of root's, run as somebody else."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lvsctl.farm.checks import ExecRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, OwnFault, WrongAnswer, outcome_of
from lvsctl.health.target import Target

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT = 200
"""Bytes of a program's output, its last, that a reason quotes."""

_CHUNK = 65536
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class ExecProbes:
    """Runs programs that judge servers.

    Attributes:
        folder: Where they are; None refuses them all.
        user: Whom they run as, by number; None for whoever runs this process.
        group: The same, of the group.
        owner: Whose the folder and the programs must be, with nobody else allowed to write.
    """

    folder: Path | None
    user: int | None
    group: int | None
    owner: int = 0

    async def probe(self, request: ExecRequest, target: Target, timeout_s: float) -> Outcome:
        """Run a program, and judge by its exit status; kill it at the end of its time.

        It learns whom to ask from its environment: LVSCTL_VIP, LVSCTL_RIP, LVSCTL_PORT.
        """

        async def ask(attempt: Attempt) -> None:
            attempt.awaits = f"{request.program} to end"
            program = self._program(request.program)
            status, said = await _end_of(self._start([str(program), *request.arguments], target))
            if status != 0:
                raise WrongAnswer(f"{request.program}: {_how(status)}{said and ', '}{said}")

        return await outcome_of(ask, target, timeout_s)

    def _program(self, name: str) -> Path:
        if self.folder is None:
            raise OwnFault(f"{name} is not run: start the director with --exec-dir")
        program = self.folder / name
        if program.parent != self.folder or name in {"", ".", ".."}:
            raise OwnFault(f"{name!r} is no name of a file in {self.folder}")
        self._must_be_safe(self.folder, stat.S_ISDIR, "a folder")
        self._must_be_safe(program, stat.S_ISREG, "a file")
        return program

    def _must_be_safe(self, path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
        try:
            found = path.lstat()
        except OSError as error:
            raise OwnFault(f"{path}: {error.strerror}") from error
        if not is_kind(found.st_mode):
            raise OwnFault(f"{path} is not {kind}")
        if found.st_uid != self.owner or found.st_mode & _OTHERS_WRITE:
            raise OwnFault(
                f"{path} is not run: only root may own and write it (chown root, chmod go-w)"
            )

    def _start(self, command: list[str], target: Target) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, cwd="/", env=environment(target), user=self.user,
                group=self.group, extra_groups=None if self.user is None else [], umask=0o077,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise OwnFault(f"{command[0]} cannot be run: {error.strerror}") from error


def environment(target: Target) -> Mapping[str, str]:
    """Return what a program is told: whom to ask, and where programs are."""
    told = {
        "LVSCTL_VIP": target.vip,
        "LVSCTL_RIP": target.server,
        "LVSCTL_PORT": target.port or None,
    }
    return {"PATH": PATH} | {name: str(value) for name, value in told.items() if value is not None}


def _how(status: int) -> str:
    if status > 0:
        return f"exited with {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # those for real time have numbers alone
        return f"signal {-status}"


async def _end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for a program; return its status, negative for a signal, and the last that it said.

    When this returns, or is cancelled, the program and all that it started is dead.
    """
    pipe = cast("IO[bytes]", process.stdout)
    said = _Said(pipe.fileno())
    ended = asyncio.Event()
    with pipe, _noticed(process, ended), said.kept():
        try:
            await ended.wait()
        finally:
            # Before it is reaped: afterwards its number may be another's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await ended.wait()
            status = process.wait()
    return status, said.text


@contextlib.contextmanager
def _noticed(process: subprocess.Popen[bytes], ended: asyncio.Event) -> Iterator[None]:
    """Set an event when a program ends."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError as error:
        process.kill()
        process.wait()
        raise OwnFault(f"the end of a program cannot be noticed: {error.strerror}") from error
    loop.add_reader(descriptor, ended.set)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class _Said:
    """The last of what comes out of a pipe; the rest is thrown away, so that nobody waits."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._last = b""
        os.set_blocking(pipe, False)

    @property
    def text(self) -> str:
        """On one line."""
        return " ".join(self._last.decode(errors="replace").split())

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Read whenever there is something, and at the end once more."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._read)
        try:
            yield
        finally:
            self._read()
            loop.remove_reader(self._pipe)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe, _CHUNK)
            if not data:
                asyncio.get_running_loop().remove_reader(self._pipe)
            self._last = (self._last + data)[-KEPT:]
