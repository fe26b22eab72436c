"""The store in one SQLite file."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from lvsctl.objects import Changes, Kind, ObjectId
from lvsctl.store.database import Database, Format, Row
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.protocol import (
    FIRST_EPOCH,
    Contents,
    Position,
    Stored,
    check_expected,
    check_later_epoch,
)

FORMAT = Format(
    what="the farm's store",
    application_id=0x4C56_5366,
    version=1,
    tables={
        "commits": "revision INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL",
        # Append-only; a document of NULL says that the object was deleted.
        "objects": "kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,"
        " document TEXT, UNIQUE (kind, name, revision)",
    },
    loss="apply the farm file again (lvsctl apply -f FILE) and adopt what the kernel has of it "
    "(lvsctl service adopt --all)",
)


class SqliteStore:
    """The farm and its status in a file, with the history of every object.

    Args:
        path: The file, ``farm.db`` in the state folder. Made where it is missing.
        clock: What time it is, in UTC; for the history.

    Raises:
        StoreCorrupt: The file is damaged, or is something else.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk refuses, or another process holds the file.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._database = Database(path, FORMAT, {"farm_id": uuid.uuid4().hex})
        self._clock = clock

    def load(self) -> Contents:
        """Return everything that stands."""
        commits = self._database.rows("commits")
        rows = self._database.rows("objects")
        try:
            objects = _standing(rows)
        except ValueError as error:
            self._database.corrupt(error)
        farm_id, epoch = self._farm()
        revision = commits[-1][0] if commits else 0
        return Contents(farm_id, epoch, revision, objects)

    def commit(self, changes: Changes, expect: Mapping[ObjectId, int], by: str) -> int:
        """Store all changes at once, durably, and return the new revision."""
        removed = {object_id for object_id, value in changes.items() if value is None}
        with self._database.transaction():
            present = {
                object_id: self._revision_of(object_id) for object_id in removed | expect.keys()
            }
            check_expected(expect, present)
            revision = self._revision() + 1
            stored = {
                object_id: value
                for object_id, value in changes.items()
                if value is not None or present[object_id]
            }
            if not stored:
                return revision - 1
            self._database.write("commits", [(revision, self._clock().isoformat(), by)])
            self._database.write("objects", _rows(stored, revision))
        return revision

    def check_writable(self) -> None:
        """Write what is there already, durably."""
        self._database.check_writable()

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Go on as that farm in that epoch, durably."""
        with self._database.transaction():
            revision = self._revision()
            check_later_epoch(Position(*self._farm(), revision), farm_id, epoch)
            self._database.write("meta", [("farm_id", farm_id), ("epoch", str(epoch))])
            self._database.write("commits", [(revision + 1, self._clock().isoformat(), by)])
        return Position(farm_id, epoch, revision + 1)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _farm(self) -> tuple[str, int]:
        """Return the farm's id and its epoch."""
        meta = self._database.meta()
        return meta["farm_id"], int(meta.get("epoch", FIRST_EPOCH))

    def _revision(self) -> int:
        ((revision,),) = self._database.query("SELECT coalesce(max(revision), 0) FROM commits")
        return int(revision)

    def _revision_of(self, object_id: ObjectId) -> int:
        """Return the revision at which an object got its value, 0 where it does not stand."""
        rows = self._database.query(
            "SELECT CASE WHEN document IS NULL THEN 0 ELSE revision END FROM objects"
            " WHERE kind = ? AND name = ? ORDER BY revision DESC LIMIT 1",
            object_id.kind,
            object_id.name,
        )
        return rows[0][0] if rows else 0


def _rows(changes: Changes, revision: int) -> Iterator[Row]:
    for object_id, value in changes.items():
        document = None if value is None else encode_object(object_id.kind, value)
        yield object_id.kind.value, object_id.name, revision, document


def _standing(rows: Sequence[Row]) -> Mapping[ObjectId, Stored]:
    """Return what the whole history leaves standing, in the order in which it came to stand."""
    latest: dict[ObjectId, tuple[int, str]] = {}
    for kind, name, revision, document in rows:
        object_id = ObjectId(Kind(kind), name)
        if document is None:
            latest.pop(object_id, None)
        else:
            latest[object_id] = (revision, document)
    return {
        object_id: Stored(decode_object(object_id.kind, document), revision)
        for object_id, (revision, document) in latest.items()
    }
