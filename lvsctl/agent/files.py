"""JSON files with a checksum, replaced atomically."""

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
"""Format version of every file here. A file of a later version is refused."""
MAX_BYTES = 64 * 1024 * 1024
"""Largest file; one for 1,024 VIPs and a hundred devices takes a tenth of it."""
MAX_VALUES = 4_000_000


def write(path: Path, content: object, *, durable: bool = True) -> None:
    """Replace a file.

    Args:
        path: The file.
        content: A JSON value.
        durable: Sync it to the disk before returning.

    Raises:
        StoreError: The disk refuses; the old file is unchanged.
    """
    document = {"version": VERSION, "sha256": _digest(content), "content": content}
    text = json.dumps(document, indent=1)
    new = path.with_name(f"{path.name}.new")
    try:
        with _open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
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
        StoreCorrupt: It is not a valid file of :func:`write`.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses.
    """
    try:
        document = read_json(_bytes(path), MAX_VALUES)
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
                raise StoreCorrupt(f"{path} is damaged: its checksum does not match")
            return _non_empty(path, content)
        case {"version": int(), "content": content, **rest} if not rest:
            return _non_empty(path, content)  # written by lvsctl 0.1
        case _:
            raise StoreCorrupt(f"{path} is damaged: it is not an lvsctl file")


def _non_empty(path: Path, content: object) -> object:
    if content is None:
        raise StoreCorrupt(f"{path} is damaged: it is empty")
    return content


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> bytes:
    """Read a regular file of limited size; never block on a pipe."""
    if path.is_symlink():
        raise ValueError("it is a symbolic link")
    with _open(path, os.O_RDONLY) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"it is {status.st_size} bytes long, more than lvsctl ever writes")
        return file.read(MAX_BYTES)


def _open(path: Path, flags: int) -> BinaryIO:
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o644), "wb" if flags & os.O_WRONLY else "rb")


def remove(path: Path) -> None:
    """Remove a file durably, if it exists.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be removed: {error.strerror}") from error


def preserve_damaged(path: Path) -> None:
    """Preserve a damaged file as ``*.damaged``, so that it can be replaced.

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
        raise StoreError(f"{kept} cannot be created: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
