"""Locks a database for one process at a time."""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from lvsctl.errors import StoreError, StoreInUse


def take_lock(database: Path) -> FileIO:
    """Lock a file beside a database, until the returned file is closed.

    The database itself is not locked, because closing any descriptor of it would release SQLite's
    own POSIX locks.

    Raises:
        StoreInUse: Another process holds the lock.
        StoreError: The folder cannot be used.
    """
    path = database.with_name(database.name + ".lock")
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileIO(path, "a+")
    except OSError as error:
        raise StoreError(
            f"cannot make {error.filename}: {error.strerror}; the state folder must be writable "
            "for the user that runs this process"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().decode(errors="replace").strip() or "?"
        lock.close()
        if not isinstance(error, BlockingIOError):
            raise StoreError(f"cannot lock {path}: {error.strerror}") from error
        raise StoreInUse(
            f"{database} is in use by process {holder}: only one director can use a state folder "
            "at a time. End that process, or use another folder with --state-dir"
        ) from error
    with suppress(OSError):  # disk full: the lock holds, but messages cannot name the holder
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
    return lock
