"""Runs one program to its end, and kills every process that it leaves behind."""

import contextlib
import math
import os
import resource
import selectors
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lvsctl.errors import LvsctlError
from lvsctl.health.programs.messages import Ended, Order
from lvsctl.health.programs.processes import Cgroup, give_up_privileges, kill_descendants

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT = 200
"""The last bytes of a program's output, which are kept."""
GRACE_S = 1.0
"""Time beyond an order's timeout before its program is killed; the director hangs up earlier."""

MAX_PROCESSES = 512
"""Limit for the user that programs run as, over all programs."""
_LIMITS = {
    resource.RLIMIT_AS: 2 << 30,
    resource.RLIMIT_FSIZE: 16 << 20,
    resource.RLIMIT_NOFILE: 256,
    resource.RLIMIT_NPROC: MAX_PROCESSES,
    resource.RLIMIT_CORE: 0,
}
_CHUNK = 65536
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class CannotRun(LvsctlError):
    """A program cannot be run; says why, and the cure."""


class Abandoned(LvsctlError):
    """The caller has gone, or the program took too long."""


@dataclass(frozen=True, slots=True)
class ProgramFolder:
    """The folder of permitted programs, and how they run.

    Attributes:
        path: The folder.
        user: User id that they run as; None for the user of this process.
        group: Group id that they run as; None for the group of this process.
        owner: Required owner of folder and programs; nobody else may write them.
        cgroups: Parent cgroup of the programs' cgroups; None for no cgroups.
    """

    path: Path
    user: int | None = None
    group: int | None = None
    owner: int = 0
    cgroups: Path | None = None

    def find(self, name: str) -> Path:
        """Return a program's file.

        Raises:
            CannotRun: It does not exist, or others could have written it.
        """
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise CannotRun(f"{name!r} is not a file name in {self.path}")
        self._must_be_safe(self.path, stat.S_ISDIR, "a folder")
        self._must_be_safe(self.path / name, stat.S_ISREG, "a file")
        return self.path / name

    def _must_be_safe(self, path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
        try:
            found = path.lstat()
        except OSError as error:
            raise CannotRun(f"{path}: {error.strerror}") from error
        if not is_kind(found.st_mode):
            raise CannotRun(f"{path} is not {kind}")
        if found.st_uid != self.owner or found.st_mode & _OTHERS_WRITE:
            raise CannotRun(
                f"{path}: only root may own and write it: chown root {path}; chmod go-w {path}"
            )


def run(order: Order, folder: ProgramFolder, caller: socket.socket) -> Ended:
    """Run a program to its end; no process that it started survives.

    This process must be a single-threaded subreaper without other children.

    Args:
        order: The program.
        folder: Where it is.
        caller: Connection of the caller; data or end of stream on it kills the program.

    Raises:
        CannotRun: It was not run.
        Abandoned: It was killed.
    """
    program = folder.find(order.program)
    with _cgroup(folder.cgroups) as cgroup:
        process = _start([str(program), *order.arguments], order, folder, cgroup)
        pipe = cast("IO[bytes]", process.stdout)
        output = _Output(pipe.fileno())
        try:
            with pipe:
                _wait(process, output, caller, time.monotonic() + order.timeout_s + GRACE_S)
                output.read()
            return Ended(process.wait(), output.text)
        finally:
            if cgroup is not None:
                cgroup.kill()
            kill_descendants()


def environment(order: Order) -> Mapping[str, str]:
    """Return the environment of a program: its target and PATH."""
    target = {"LVSCTL_VIP": order.vip, "LVSCTL_RIP": order.rip, "LVSCTL_PORT": order.port}
    return {"PATH": PATH} | {
        name: str(value) for name, value in target.items() if value is not None
    }


@contextlib.contextmanager
def _cgroup(below: Path | None) -> Iterator[Cgroup | None]:
    if below is None:
        yield None
        return
    try:
        cgroup = Cgroup(below / f"program-{os.getpid()}")
    except OSError as error:
        raise CannotRun(
            f"cannot create a cgroup in {below}: {error.strerror}; the unit needs Delegate=yes"
        ) from error
    try:
        yield cgroup
    finally:
        cgroup.remove()


def _start(
    command: list[str], order: Order, folder: ProgramFolder, cgroup: Cgroup | None
) -> subprocess.Popen[bytes]:
    entrance = None if cgroup is None else cgroup.open_entrance()

    def confine() -> None:
        if entrance is not None:
            os.write(entrance, b"0")
        give_up_privileges()
        for limit, value in _limits(order).items():
            _, hard = resource.getrlimit(limit)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (most, most))

    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd="/", env=environment(order), user=folder.user, group=folder.group,
            extra_groups=None if folder.user is None else [], umask=0o077, start_new_session=True,
            preexec_fn=confine,  # noqa: PLW1509 - this process has one thread
        )  # fmt: skip
    except OSError as error:
        raise CannotRun(f"{command[0]} cannot be run: {error.strerror}") from error
    finally:
        if entrance is not None:
            os.close(entrance)


def _limits(order: Order) -> Mapping[int, int]:
    return _LIMITS | {resource.RLIMIT_CPU: math.ceil(order.timeout_s + GRACE_S)}


def _wait(
    process: subprocess.Popen[bytes], output: "_Output", caller: socket.socket, until_s: float
) -> None:
    """Read a program's output until it ends.

    Raises:
        Abandoned: The caller has gone, or time is up.
    """
    with contextlib.ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        end = os.pidfd_open(process.pid)
        stack.callback(os.close, end)
        for descriptor in (end, output.pipe, caller.fileno()):
            waiting.register(descriptor, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in waiting.select(until_s - time.monotonic())}
            if caller.fileno() in ready:
                raise Abandoned("the caller has gone")
            if output.pipe in ready and not output.read():
                waiting.unregister(output.pipe)
            if end in ready:
                return
            if time.monotonic() >= until_s:
                raise Abandoned("it takes too long")


class _Output:
    """The last bytes read from a pipe; earlier ones are dropped, so the writer never blocks."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._last = b""
        os.set_blocking(pipe, False)

    @property
    def text(self) -> str:
        """The output as one line."""
        return " ".join(self._last.decode(errors="replace").split())

    def read(self) -> bool:
        """Read once; False at the end of the stream."""
        try:
            data = os.read(self.pipe, _CHUNK)
        except BlockingIOError:
            return True
        self._last = (self._last + data)[-MAX_OUTPUT:]
        return bool(data)
