"""The lock of a state folder: one process at a time writes the host, daemon or leave command."""

import contextlib
import fcntl
import os
import struct
from pathlib import Path

from lvsctl.errors import StoreError

_FLOCK = "hhqqi"  # struct flock: l_type, l_whence, l_start, l_len, l_pid (fcntl(2))
_WHOLE_FILE = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Lock:
    """A lock that the kernel takes back when its holder ends, however that happens.

    It is an open file description lock: unlike flock(2), its holder can be queried without
    taking it, so that a status query never blocks a daemon from starting.

    Args:
        path: The lock's file; it holds the holder's process number.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock unless somebody holds it.

        Raises:
            StoreError: The disk refuses.
        """
        descriptor = self._open(os.O_RDWR | os.O_CREAT)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except BlockingIOError:
            os.close(descriptor)
            return False
        with contextlib.suppress(OSError):  # a full disk; the number only serves messages
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def holder(self) -> int | None:
        """Return the holder's process number, 0 if it is unknown, None if the lock is free.

        Raises:
            StoreError: The disk refuses.
        """
        if not self._path.exists():
            return None
        descriptor = self._open(os.O_RDONLY)
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
            kind, *_ = struct.unpack(_FLOCK, answer)
            if kind == fcntl.F_UNLCK:
                return None
            number = os.pread(descriptor, 20, 0).strip()
        finally:
            os.close(descriptor)
        return int(number) if number.isdigit() else 0

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, flags: int) -> int:
        try:
            return os.open(self._path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be opened: {error.strerror}") from error
