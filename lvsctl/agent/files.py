"""JSON files that are either the old or the new one, whatever happens meanwhile."""

import json
import os
from pathlib import Path

from lvsctl.errors import StoreCorrupt, StoreError, StoreTooNew

VERSION = 1
"""Of every file here. A file of a later version is refused, not guessed at."""


def write(path: Path, content: object, *, durable: bool = True) -> None:
    """Replace a file.

    Args:
        path: The file.
        content: What ``json.dumps`` takes.
        durable: It is on the disk when this returns.

    Raises:
        StoreError: The disk refuses; the old file stands.
    """
    text = json.dumps({"version": VERSION, "content": content}, indent=1)
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w") as file:
            file.write(text)
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
        document: object = json.loads(path.read_bytes())
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
        case {"version": int(), "content": object() as content} if content is not None:
            return content
        case _:
            raise StoreCorrupt(f"{path} is damaged: it is no file of lvsctl")


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
        kept.unlink(missing_ok=True)
        kept.hardlink_to(path)
    except OSError as error:
        raise StoreError(f"{kept} cannot be made: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
