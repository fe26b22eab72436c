"""What a store has acknowledged, in a small file beside its database.

SQLite takes a damaged or missing journal for the end of the log and goes on with an older state,
without a word. What is written here after each commit tells the two apart. It is not synchronised:
it outlives a kill, and what a power cut takes of it only makes it say less.
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
"""One sector, which a disk writes whole."""

log = structlog.get_logger(__name__)


class Acknowledged:
    """The file of one store. It is for safety only: where the disk refuses it, less is known.

    Args:
        path: The file. Made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        with self._tolerated():
            self._file = FileIO(path, "r+", opener=_open)

    def read(self) -> tuple[Position, str] | None:
        """Return the latest position with its commit's id; None where nothing tells."""
        content = b""
        with self._tolerated():
            content = os.pread(self._descriptor, SIZE, 0)
        if not content:
            return None
        try:
            text, found = content.rstrip(b" \n").rsplit(b" ", 1)
            if int(found) != zlib.crc32(text):
                raise ValueError("its checksum is another")
            position, commit_id = json.loads(text)
            return Position(**position), str(commit_id)
        except (ValueError, TypeError) as error:
            log.warning("note is unreadable", file=str(self._path), reason=str(error))
            return None

    def write(self, position: Position, commit_id: str) -> None:
        """Note a position that is acknowledged from now on."""
        text = json.dumps([asdict(position), commit_id]).encode()
        record = b"%s %d" % (text, zlib.crc32(text))
        with self._tolerated():
            os.pwrite(self._descriptor, record.ljust(SIZE - 1) + b"\n", 0)

    def close(self) -> None:
        """Let go of the file."""
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
            log.warning("note is not kept", file=str(self._path), reason=error.strerror)


def _open(path: str, _: int) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
