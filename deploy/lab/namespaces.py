"""The system calls for namespaces and mounts that Python 3.11's `os` lacks (unshare(2), setns(2)).

Path look-ups below /proc/sys/net follow the namespace of the calling thread, so entering one is
enough to read and write its sysctls; a file or a folder opened before stays with the old one.
/proc/net is the main thread's, and /sys/class/net belongs to the namespace that mounted /sys.
"""

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMED = Path("/run/netns")  # where ip-netns(8) looks for them

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Open descriptors of a network namespace and of the host name that goes with it."""

    net: int
    uts: int

    @classmethod
    def of_this_thread(cls) -> "Namespaces":
        """Open those that the calling thread is in."""
        return cls(
            net=os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
            uts=os.open("/proc/thread-self/ns/uts", os.O_RDONLY | os.O_CLOEXEC),
        )

    def enter(self) -> None:
        """Move the calling thread into them."""
        _call("setns", self.net, _CLONE_NEWNET)
        _call("setns", self.uts, _CLONE_NEWUTS)

    def close(self) -> None:
        """Let go of them; the kernel removes them when nobody else holds them."""
        os.close(self.net)
        os.close(self.uts)


@contextlib.contextmanager
def inside(namespaces: Namespaces) -> Iterator[None]:
    """Move the calling thread into namespaces for a while."""
    with _and_back():
        namespaces.enter()
        yield


def create(name: str, host_name: str | None = None) -> Namespaces:
    """Make a network namespace that has a name for ip-netns(8), by default its host name."""
    NAMED.mkdir(exist_ok=True)
    with _and_back():
        _call("unshare", _CLONE_NEWNET | _CLONE_NEWUTS)
        socket.sethostname(host_name or name)
        (NAMED / name).touch(exist_ok=False)
        _call("mount", b"/proc/thread-self/ns/net", bytes(NAMED / name), None, _MS_BIND, None)
        return Namespaces.of_this_thread()


def remove_name(name: str) -> None:
    """Take the name from a namespace that `create` made."""
    _call("umount2", bytes(NAMED / name), _MNT_DETACH)
    (NAMED / name).unlink()


def mount_own_sys() -> None:
    """Give the calling process a /sys of its namespace, seen by it and its children only."""
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    _call("mount", b"sys", b"/sys", b"sysfs", 0, None)


@contextlib.contextmanager
def _and_back() -> Iterator[None]:
    home = Namespaces.of_this_thread()
    try:
        yield
    finally:
        home.enter()
        home.close()


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
