"""A guest: user-mode Linux, booted to run one job as its root."""

import contextlib
import fcntl
import itertools
import math
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from deploy.lab.confinement import confined, kernel_pid
from deploy.lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
LAB_BUILD = CHECKOUT / "build" / "lab"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUT_IN_GUEST = Path("/out")

_INIT = Path(__file__).with_name("init.sh")
_FOLDER = "lvsctl-lab-"  # the launcher's process id comes next
_HALT_WITHIN_S = 10.0
PROGRAMS = {"linux.uml": "user-mode-linux", "taskset": "util-linux", "setpriv": "util-linux"}
_UNITS = {"M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a guest is made of.

    Attributes:
        memory: As the kernel's `mem=`: a number followed by M or G. It bounds its files too.
        cpu: The host's processor that the guest is pinned to.
        devices: Further words for the kernel, such as `vec0:…`.
    """

    cpu: int
    memory: str = "1G"
    devices: tuple[str, ...] = ()


def job_script(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Write the shell script that runs a command in the checkout, with the checkout's Python."""
    variables = {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{SYSTEM_PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "PYTHONUNBUFFERED": "1",
        "LAB_OUT": str(OUT_IN_GUEST),
        # Nobody's certificate is checked here, and httpx would read all of the Mozilla Foundation's
        # for each client that is made, which takes longer than the request.
        "SSL_CERT_DIR": "/nonexistent",
        **(environment or {}),
    }
    assignments = [f"{name}={value}" for name, value in variables.items()]
    run = shlex.join(["env", "-i", *assignments, *command])
    return f"cd {shlex.quote(str(CHECKOUT))}\nexec {run}\n"


@contextlib.contextmanager
def unused_cpu(locks: Path = LAB_BUILD) -> Iterator[int]:
    """Reserve the processor that fewest guests of this checkout are pinned to, the last one first.

    Args:
        locks: A folder with a file to lock for each guest that a processor has.
    """
    locks.mkdir(parents=True, exist_ok=True)
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    with contextlib.ExitStack() as opened:
        for guests in itertools.count():
            for cpu in allowed:
                lock = opened.enter_context((locks / f"cpu{cpu}.{guests}.lock").open("w"))
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield cpu
                    return


class Guest:
    """A running guest. Leaving the context halts it.

    Args:
        job: The shell script that its root runs; the guest ends with it.
        out: The folder of the host that the guest sees as /out, the only one it can write.
        machine: Its memory, processor and devices.
        terminal: Let the job read what is typed here, at a terminal of its own.

    Raises:
        LabError: A program is missing, or the host allows no confinement of root's guest.
    """

    def __init__(self, job: str, out: Path, machine: Machine, *, terminal: bool = False) -> None:
        _check_installed()
        self._out = out
        out.mkdir(parents=True, exist_ok=True)
        (out / "rc").unlink(missing_ok=True)
        self._cleanup = contextlib.ExitStack()
        try:
            memory = private_folder(_parent_for_memory(machine.memory))
            self._memory = self._cleanup.enter_context(memory)
            self._state = self._cleanup.enter_context(private_folder())
            self._write_state(job)
            self._start(machine, terminal=terminal)
        except BaseException:
            self._cleanup.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.halt()
        self._cleanup.close()

    def wait(self, time_limit_s: float = math.inf) -> int:
        """Copy what the job says to this process's output and errors until the guest has ended.

        Returns:
            The job's exit status.

        Raises:
            LabError: It took too long, or the guest ended without a status (a panic, for instance).
        """
        deadline = time.monotonic() + time_limit_s
        with selectors.DefaultSelector() as selector:
            for source, target in self._copies:
                selector.register(source, selectors.EVENT_READ, target)
            while self._spoken_by_the_job & set(selector.get_map()):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise LabError(
                        f"the guest's job was not done after {time_limit_s:g} s: "
                        f"see {self._out}, or give it longer with --time-limit"
                    )
                for key, _ in selector.select(None if left_s == math.inf else left_s):
                    if not _copy(key.fd, key.data):
                        selector.unregister(key.fd)
        self._process.wait()
        return self._status()

    def halt(self) -> None:
        """End the guest in order, if it still runs; what it wrote to /out a second ago is kept."""
        if self._process.poll() is not None:
            return
        kernel = kernel_pid(self._process.pid, self._info)
        try:
            if kernel is None:
                self._process.kill()
            else:
                os.kill(kernel, signal.SIGTERM)
            self._process.wait(_HALT_WITHIN_S)
        except ProcessLookupError:  # it has just ended by itself
            self._process.wait()
        except subprocess.TimeoutExpired:
            # linux.uml makes a group of its processes: killed together, they leave no orphan.
            os.killpg(cast("int", kernel), signal.SIGKILL)
            self._process.wait()

    def _write_state(self, job: str) -> None:
        shutil.copy(_INIT, self._state / "init")
        (self._state / "job").write_text(job)
        (self._state / "folders").write_text(f"{CHECKOUT}\n{sys.prefix}\n{sys.base_prefix}\n")
        (self._state / "out").symlink_to(self._out.resolve())

    def _start(self, machine: Machine, *, terminal: bool) -> None:
        self._info = self._state / "info.json"
        info = self._cleanup.enter_context(self._info.open("wb"))
        console = self._cleanup.enter_context((self._out / "console.log").open("wb"))
        said, say = os.pipe()
        errors_said, say_errors = os.pipe()
        hear, heard = os.pipe()
        for ours in (said, errors_said, heard):
            self._cleanup.callback(os.close, ours)
        self._process = subprocess.Popen(
            confined(
                [
                    *("taskset", "--cpu-list", str(machine.cpu), "linux.uml"),
                    *("rootfstype=hostfs", "rootflags=/", "ro", "quiet", f"mem={machine.memory}"),
                    *(f"umid={self._state.name}", f"init={self._state / 'init'}"),
                    *(f"LAB_STATE={self._state}", f"LAB_TERMINAL={'yes' if terminal else ''}"),
                    *("con=null", "con0=null,fd:1", f"con1=fd:{hear},fd:{say}"),
                    *(f"con2=null,fd:{say_errors}", *machine.devices),
                ],
                writable=(self._memory, self._state, self._out.resolve()),
                info_fd=info.fileno(),
            ),
            env={
                "HOME": str(self._state),
                "TMPDIR": str(self._memory),
                "PATH": SYSTEM_PATH,
            },
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            pass_fds=(hear, say, say_errors, info.fileno()),
            start_new_session=True,
        )
        for its in (hear, say, say_errors):
            os.close(its)
        self._spoken_by_the_job = {said, errors_said}
        self._copies = [(said, sys.stdout.fileno()), (errors_said, sys.stderr.fileno())]
        if terminal:
            self._copies.append((sys.stdin.fileno(), heard))

    def _status(self) -> int:
        try:
            return int((self._out / "rc").read_text())
        except (FileNotFoundError, ValueError):
            log = self._out / "console.log"
            console = log.read_text(errors="replace")
            panic = console.find("Kernel panic")
            raise LabError(
                "the guest ended without its job's exit status, so its kernel panicked or was "
                f"stopped; from {log}:\n{console[max(panic, 0) :].strip()}"
            ) from None


def _copy(source: int, target: int) -> bool:
    """Pass on what there is to read; False at the end."""
    data = os.read(source, 65536)
    written = 0
    while written < len(data):
        written += os.write(target, data[written:])
    return bool(data)


@contextlib.contextmanager
def private_folder(parent: str = tempfile.gettempdir()) -> Iterator[Path]:
    """Make a folder for a while; take away what a launcher that was killed has left there."""
    for left in Path(parent).glob(f"{_FOLDER}*"):
        launcher = left.name.removeprefix(_FOLDER).partition("-")[0]
        if not Path("/proc", launcher).exists():
            shutil.rmtree(left, ignore_errors=True)
    path = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=parent)
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _parent_for_memory(memory: str) -> str:
    """Prefer /dev/shm where it is large enough, and not mounted noexec: the kernel runs from it."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - looked at here; a folder is made in it by mkdtemp
    except FileNotFoundError:
        return tempfile.gettempdir()
    large_enough = shm.f_bavail * shm.f_frsize > size_in_bytes(memory)
    usable = large_enough and not shm.f_flag & os.ST_NOEXEC and os.access("/dev/shm", os.W_OK)  # noqa: S108
    return "/dev/shm" if usable else tempfile.gettempdir()  # noqa: S108


def size_in_bytes(memory: str) -> int:
    """Read a size such as 768M or 2G."""
    match = re.fullmatch(r"([1-9][0-9]*)([MG])", memory)
    if match is None:
        raise LabError(f"memory {memory!r}: a number followed by M or G, such as 1G")
    return int(match[1]) * _UNITS[match[2]]


def _check_installed() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program, path=SYSTEM_PATH) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        raise LabError(f"missing: {', '.join(missing)}; install them: apt-get install {packages}")
