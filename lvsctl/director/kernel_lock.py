"""Locks the kernel: a second director in the same network namespace does not start.

The lock on the state folder is not enough: a folder can be moved away from under a director, be
copied, or another one be used.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from lvsctl.errors import ConfigurationError

NAMESPACE = Path("/proc/self/ns/net")
LOCKS = Path("/proc/locks")

log = structlog.get_logger(__name__)


@contextlib.contextmanager
def kernel_lock(namespace: Path = NAMESPACE) -> Iterator[None]:
    """Lock this network namespace for one director; a killed one leaves no lock behind.

    Any local user may open and lock the namespace's file, which must not keep a director from
    starting. So only locks of root or of this process's own user count.

    Args:
        namespace: The file of the namespace.

    Raises:
        ConfigurationError: Another director runs in it.
    """
    with contextlib.closing(namespace.open("rb", buffering=0)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse_director(file.fileno())
        yield


def _refuse_director(descriptor: int) -> None:
    pid = _holder(os.fstat(descriptor))
    if pid is None or _user(pid) not in (0, os.geteuid()):
        log.warning("somebody else has locked this network namespace", process=pid)
        return
    raise ConfigurationError(
        f"process {pid} is the director of this network namespace already, and a kernel has one "
        f"writer; end it (kill {pid}), or use --ipvs memory for a look at lvsctl"
    )


def _holder(found: os.stat_result) -> int | None:
    """Return the process that holds a lock on a file, from /proc/locks (proc(5))."""
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    for line in LOCKS.read_text().splitlines():
        _, kind, _, _, pid, file, *_ = line.split()
        if kind == "FLOCK" and file == f"{device}:{found.st_ino}":
            return int(pid)
    return None


def _user(pid: int) -> int | None:
    """Return the user of a process, None if it is unknown."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return None
