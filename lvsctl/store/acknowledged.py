"""Records the latest acknowledged commit of a store, in a small file beside the database.

SQLite treats a damaged or missing journal as the end of the log and silently continues with an
older state. The record, written after each commit, reveals that. It is not synced: it survives a
kill, and if it is stale after a power cut, it only detects less.
"""

import errno
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import FileIO
from pathlib import Path

import structlog

from lvsctl.store.position import Position

SIZE = 512
"""One sector, which disks write atomically."""

log = structlog.get_logger(__name__)


class Acknowledged:
    """The record of one store. Disk errors are logged and ignored, as the record is not essential.

    Args:
        path: The file; created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        with self._tolerated():
            self._file = FileIO(path, "r+", opener=_open)

    def read(self) -> tuple[Position, str] | None:
        """Return the recorded position and commit id; None if there is no readable record."""
        content = b""
        with self._tolerated():
            content = os.pread(self._descriptor, SIZE, 0)
        if not content:
            return None
        try:
            text, found = content.rstrip(b" \n").rsplit(b" ", 1)
            if int(found) != zlib.crc32(text):
                raise ValueError("wrong checksum")
            position, commit_id = json.loads(text)
            return Position(**position), str(commit_id)
        except (ValueError, TypeError) as error:
            log.warning("unreadable record", file=str(self._path), reason=str(error))
            return None

    def write(self, position: Position, commit_id: str) -> None:
        """Record a position that is being acknowledged."""
        text = json.dumps([asdict(position), commit_id]).encode()
        record = b"%s %d" % (text, zlib.crc32(text))
        with self._tolerated():
            os.pwrite(self._descriptor, record.ljust(SIZE - 1) + b"\n", 0)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise OSError(errno.EBADF, "it could not be opened")
        return self._file.fileno()

    @contextmanager
    def _tolerated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("record cannot be used", file=str(self._path), reason=error.strerror)


def _open(path: str, _: int) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
