"""Kills a whole tree of processes, including double forks, new sessions and fork bombs.

The killing process is a *subreaper* (prctl(2)): orphaned descendants become its children, so none
escapes. A cgroup is killed atomically (``cgroup.kill``, Linux 5.14). Without one, all processes are
stopped first, since a stopped process cannot fork.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_PAUSE_S = 0.001

_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _set(option: int, value: int) -> None:
    if _prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def become_subreaper() -> None:
    """Adopt orphaned descendants from now on; processes of the same user cannot trace this one."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)
    _set(_PR_SET_DUMPABLE, 0)


def end_with_parent(parent: int) -> None:
    """Receive SIGTERM when the parent process ends, or now if it already has."""
    _set(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def give_up_privileges() -> None:
    """Keep no capability across the next exec, and gain none; needs no privilege."""
    _set(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _set(_PR_SET_NO_NEW_PRIVS, 1)


class Cgroup:
    """A cgroup (v2) for one program, below one that was delegated to this process.

    Args:
        path: Its folder, created unless a killed watcher left it behind.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(exist_ok=True)

    def open_entrance(self) -> int:
        """Return a descriptor; a process that writes ``0`` to it joins the cgroup."""
        return os.open(self._path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def kill(self) -> None:
        """Kill every process in it atomically, if the kernel supports that."""
        with contextlib.suppress(FileNotFoundError):  # before Linux 5.14
            (self._path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove it; it must be empty."""
        self._path.rmdir()


def own_cgroup() -> Path | None:
    """Return the folder of this process's cgroup (v2); None if it has none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            for mount in Path("/proc/self/mountinfo").read_text().splitlines():
                place, _, source = mount.partition(" - ")
                if source.split()[0] == "cgroup2":
                    return Path(place.split()[4]) / line.removeprefix("0::/")
    return None


def kill_descendants(spare: Collection[int] = ()) -> None:
    """Kill and reap every descendant of this process, which is a subreaper.

    Args:
        spare: Children that are left alone, with their descendants.
    """
    while _children(os.getpid(), spare):
        _kill_once(spare)
        if not _reap(spare):
            time.sleep(_PAUSE_S)


def _kill_once(spare: Collection[int]) -> None:
    stopped: set[int] = set()
    while found := set(_descendants(os.getpid(), spare)) - stopped:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped:
        _signal(pid, signal.SIGKILL)


def _reap(spare: Collection[int]) -> bool:
    """Reap dead children; tell whether there were any."""
    reaped = False
    for pid in _children(os.getpid(), spare):
        with contextlib.suppress(ChildProcessError):
            reaped |= os.waitpid(pid, os.WNOHANG) != (0, 0)
    return reaped


def _descendants(pid: int, spare: Collection[int]) -> Iterator[int]:
    for child in _children(pid, spare):
        yield child
        yield from _descendants(child, spare)


def _children(pid: int, spare: Collection[int]) -> Sequence[int]:
    found = []
    for thread in _listed(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError):  # it has ended
            found += (thread / "children").read_text().split()
    return [child for child in map(int, found) if child not in spare]


def _listed(folder: Path) -> Sequence[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return ()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
