"""The tables of the farm's store (head, live objects, log), and the upgrade from version 1.

Version 1 had every value of every object in one table, all of which had to be read at start.
"""

import uuid
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.database import Database, Format
from lvsctl.store.digest import Row, digest, digest_text, updated_digest
from lvsctl.store.log_entries import Documents, pack
from lvsctl.store.position import FIRST_EPOCH, Position

KEPT_OF_VERSION_1 = 10_000
"""Number of the latest commits that the upgrade from version 1 keeps."""


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a store; written with every commit, in the same transaction.

    Attributes:
        position: Position of the latest commit.
        commit_id: Id of the latest commit.
        oldest: Revision of the oldest commit in the log; one above the head if the log is empty.
        digest: Digest of all live rows.
    """

    position: Position
    commit_id: str
    oldest: int
    digest: int

    @property
    def row(self) -> Row:
        """The one row of the table ``head``."""
        farm_id, epoch, revision = (
            self.position.farm_id,
            self.position.epoch,
            self.position.revision,
        )
        return 1, farm_id, epoch, revision, self.commit_id, self.oldest, digest_text(self.digest)


def read_head(database: Database) -> Head:
    """Return the head of a store.

    Raises:
        StoreCorrupt: It is missing or damaged.
    """
    rows = database.rows("head")
    if not rows:
        database.corrupt("its table head is empty")
    _, farm_id, epoch, revision, commit_id, oldest, total = rows[0]
    return Head(Position(farm_id, epoch, revision), commit_id, oldest, int(total, 16))


def new_head() -> Head:
    """Return the head of a new store, with a new farm id."""
    return Head(Position(uuid.uuid4().hex, FIRST_EPOCH, 0), uuid.uuid4().hex, 1, 0)


def _upgrade(database: Database) -> None:
    """Fill the tables from those of version 1."""
    newest_first = "ORDER BY revision DESC LIMIT ?"
    commits = {
        revision: (at, by)
        for revision, at, by in database.each("commits", newest_first, KEPT_OF_VERSION_1)
    }
    live: dict[ObjectId, tuple[int, str]] = {}
    commit_id = uuid.uuid4().hex
    for revision, rows in groupby(database.each("objects"), key=itemgetter(2)):
        documents = {ObjectId(Kind(kind), name): document for kind, name, _, document in rows}
        _apply(live, documents, revision)
        if revision in commits:
            commit_id = uuid.uuid4().hex
            entry = (revision, commit_id, FIRST_EPOCH, *commits[revision], pack(documents))
            database.write("log", [entry])
    total = 0
    for place, (object_id, (revision, document)) in enumerate(live.items()):
        row = (place, object_id.kind.value, object_id.name, revision, document)
        total = updated_digest(total, added=digest(row))
        database.write("live", [row])
    newest = max(commits, default=0)
    position = Position(database.meta("farm_id"), FIRST_EPOCH, newest)
    oldest = min(commits, default=newest + 1)
    database.write("head", [Head(position, commit_id, oldest, total).row])
    database.delete("DELETE FROM meta WHERE key = 'farm_id'")


def _apply(live: dict[ObjectId, tuple[int, str]], documents: Documents, revision: int) -> None:
    for object_id, document in documents.items():
        if document is None:
            live.pop(object_id, None)
        else:
            live[object_id] = (revision, document)


FORMAT = Format(
    what="the farm's store",
    application_id=0x4C56_5366,
    version=2,
    tables={
        "head": "id INTEGER PRIMARY KEY, farm_id TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " revision INTEGER NOT NULL, commit_id TEXT NOT NULL, oldest INTEGER NOT NULL,"
        " digest TEXT NOT NULL",
        # Places are in creation order.
        "live": "place INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " revision INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (kind, name)",
        "log": "revision INTEGER PRIMARY KEY, id TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " at TEXT NOT NULL, by TEXT NOT NULL, entry BLOB NOT NULL",
    },
    older={
        1: {
            "commits": "revision INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL",
            "objects": "kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,"
            " document TEXT, UNIQUE (kind, name, revision)",
        }
    },
    upgrade=_upgrade,
    read_in_part=frozenset({"log"}),
    cure="Stop the director. Restore the file from a backup, or move it and the files farm.db-* "
    "and farm.db.* away. Then start the director with --observe, so that it writes nothing to the "
    "kernel: it reports whether it follows the store, and the options to decide otherwise",
)
