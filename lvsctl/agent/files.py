"""JSON files that are either the old or the new one, whatever happens meanwhile."""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew
from lvsctl.strict_json import read_json

VERSION = 1
"""Of every file here. A file of a later version is refused, not guessed at."""
MOST_BYTES = 64 * 1024 * 1024
"""Of a file; that of a host with 1,024 VIPs and a hundred devices has a tenth of it."""
MOST_VALUES = 4_000_000


def write(path: Path, content: object, *, durable: bool = True) -> None:
    """Replace a file.

    Args:
        path: The file.
        content: What ``json.dumps`` takes.
        durable: It is on the disk when this returns.

    Raises:
        StoreError: The disk refuses; the old file stands.
    """
    document = {"version": VERSION, "sha256": _digest(content), "content": content}
    text = json.dumps(document, indent=1)
    new = path.with_name(f"{path.name}.new")
    try:
        with _opened(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            file.write(text.encode())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> object | None:
    """Return a file's content, None where there is no file.

    Raises:
        StoreCorrupt: It is not what :func:`write` writes.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses.
    """
    try:
        document = read_json(_bytes(path), MOST_VALUES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreCorrupt(f"{path} is damaged: {error}") from error
    match document:
        case {"version": int(version)} if version > VERSION:
            raise StoreTooNew(
                f"{path} was written by a newer lvsctl (version {version}): upgrade this one"
            )
        case {"version": int(), "sha256": digest, "content": content, **rest} if not rest:
            if digest != _digest(content):
                raise StoreCorrupt(f"{path} is damaged: its content is not what was written")
            return _something(path, content)
        case {"version": int(), "content": content, **rest} if not rest:
            return _something(path, content)  # written by lvsctl 0.1
        case _:
            raise StoreCorrupt(f"{path} is damaged: it is no file of lvsctl")


def _something(path: Path, content: object) -> object:
    if content is None:
        raise StoreCorrupt(f"{path} is damaged: there is nothing in it")
    return content


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> bytes:
    """Return what is in a file, and never wait for a pipe or read without end."""
    if path.is_symlink():
        raise ValueError("it is a symbolic link")
    with _opened(path, os.O_RDONLY) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > MOST_BYTES:
            raise ValueError(f"it has {status.st_size} bytes, more than lvsctl ever writes")
        return file.read(MOST_BYTES)


def _opened(path: Path, flags: int) -> BinaryIO:
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb" if flags & os.O_WRONLY else "rb")


def remove(path: Path) -> None:
    """Remove a file durably; an absent one is removed already.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be removed: {error.strerror}") from error


def keep_damaged(path: Path) -> None:
    """Give a damaged file a second name, so that it can be replaced and looked at later.

    Raises:
        StoreError: The disk refuses.
    """
    kept = path.with_name(f"{path.name}.damaged")
    try:
        if kept.is_dir() and not kept.is_symlink():
            shutil.rmtree(kept)
        kept.unlink(missing_ok=True)
        if path.is_symlink() or not path.is_file():
            path.rename(kept)
        else:
            kept.hardlink_to(path)
    except OSError as error:
        raise StoreError(f"{kept} cannot be made: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
