"""What a store has acknowledged, in a small file beside its database.

SQLite takes a damaged or missing journal for the end of the log and goes on with an older state,
without a word. What is written here after each commit tells the two apart. It is not synchronised:
it outlives a kill, and what a power cut takes of it only makes it say less.
"""

import json
import os
import zlib
from dataclasses import asdict
from io import FileIO
from pathlib import Path

import structlog

from lvsctl.store.position import Position

SIZE = 512
"""One sector, which a disk writes whole."""

log = structlog.get_logger(__name__)


class Acknowledged:
    """The file of one store.

    Args:
        path: The file. Made where it is missing.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = FileIO(path, "r+", opener=_open)

    def read(self) -> tuple[Position, str] | None:
        """Return the latest position with its commit's id; None where nothing tells."""
        try:
            text, found = os.pread(self._file.fileno(), SIZE, 0).rstrip(b" \n").rsplit(b" ", 1)
            if int(found) != zlib.crc32(text):
                raise ValueError("its checksum is another")
            position, commit_id = json.loads(text)
            return Position(**position), str(commit_id)
        except (OSError, ValueError, TypeError) as error:
            if os.fstat(self._file.fileno()).st_size:
                log.warning("unreadable", file=str(self._path), reason=str(error))
            return None

    def write(self, position: Position, commit_id: str) -> None:
        """Keep a position; where the disk refuses, less is known of what was acknowledged."""
        text = json.dumps([asdict(position), commit_id]).encode()
        record = b"%s %d" % (text, zlib.crc32(text))
        try:
            os.pwrite(self._file.fileno(), record.ljust(SIZE - 1) + b"\n", 0)
        except OSError as error:
            log.warning("not written", file=str(self._path), reason=str(error))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _open(path: str, _: int) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
