"""One process at a time for one database."""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from lvsctl.errors import StoreError, StoreInUse


def take_lock(database: Path) -> FileIO:
    """Lock a file beside a database, until what is returned is closed.

    Not the database itself: on that, SQLite's own locks would end with any descriptor of it that
    this process closes.

    Raises:
        StoreInUse: Another process holds it.
        StoreError: The folder cannot be used.
    """
    path = database.with_name(database.name + ".lock")
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileIO(path, "a+")
    except OSError as error:
        raise StoreError(
            f"cannot make {error.filename}: {error.strerror}; the state folder must be a "
            "folder that is writable for the user that runs this"
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
            f"{database} is in use by process {holder}: a state folder serves one director "
            "at a time. End that process, or choose another folder with --state-dir"
        ) from error
    with suppress(OSError):  # a full disk: the lock holds, only its holder is not named
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
    return lock
