"""A file that the first version wrote becomes one of today, in place."""

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lvsctl.errors import StoreCorrupt, StoreError
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.documents import encode_object
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.contract.farm_files import pools, reopened
from tests.support.stores import commit

AT = "2026-01-01T00:00:00+00:00"
STATEMENTS = (
    "PRAGMA application_id = 1280725862",
    "PRAGMA user_version = 1",
    "CREATE TABLE meta (checksum INTEGER NOT NULL, key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    (
        "CREATE TABLE commits (checksum INTEGER NOT NULL, revision INTEGER PRIMARY KEY,"
        " at TEXT NOT NULL, by TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE objects (checksum INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " revision INTEGER NOT NULL, document TEXT, UNIQUE (kind, name, revision))"
    ),
)
A, B, C = (ObjectId(Kind.POOL, name) for name in "abc")
DOCUMENT = {name: encode_object(Kind.POOL, Pool(name)) for name in "abc"}
HISTORY: Sequence[tuple[str, int, str | None]] = (
    ("a", 1, DOCUMENT["a"]),
    ("b", 1, DOCUMENT["b"]),
    ("c", 2, DOCUMENT["c"]),
    ("b", 2, DOCUMENT["b"]),
    ("a", 3, None),
    ("a", 4, DOCUMENT["a"]),
)


def insert(connection: sqlite3.Connection, table: str, *cells: Any) -> None:  # noqa: ANN401
    """Write a row with its checksum."""
    marks = ",".join("?" * (1 + len(cells)))
    checksum = zlib.crc32(ascii(cells).encode())
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", (checksum, *cells))  # noqa: S608


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file that the first version wrote."""
    path = tmp_path / "farm.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in STATEMENTS:
            connection.execute(statement)
        insert(connection, "meta", "farm_id", "0123abcd")
        insert(connection, "meta", "written_by", "0.1.0")
        for revision, by in enumerate(("anna", "bert", "anna", "carl"), 1):
            insert(connection, "commits", revision, AT, by)
        for name, revision, document in HISTORY:
            insert(connection, "objects", "pool", name, revision, document)
        connection.commit()
    return path


def test_the_farm_is_what_it_was(path: Path) -> None:
    """Farm, revisions, objects and their order; in the first epoch. It goes on from there."""
    for _ in range(2):
        contents = reopened(path)
        assert ("0123abcd", 1, 4) == (contents.farm_id, contents.epoch, contents.revision)
        assert [(B, 2), (C, 2), (A, 4)] == [
            (name, stored.revision) for name, stored in contents.objects.items()
        ]
    store = SqliteStore(path, clock)
    assert 5 == commit(store, pools("x"))
    store.close()
    assert 5 == reopened(path).revision


def test_the_history_is_what_it_was(path: Path) -> None:
    """Who, when and what."""
    store = SqliteStore(path, clock)
    history = list(store.history(10))
    store.close()
    assert [(4, "carl"), (3, "anna"), (2, "bert"), (1, "anna")] == [
        (each.revision, each.by) for each in history
    ]
    assert {AT} == {each.at.isoformat() for each in history}
    assert [{A: Pool("a")}, {A: None}, {C: Pool("c"), B: Pool("b")}] == [
        each.changes for each in history[:3]
    ]


def test_a_store_without_commits_is_upgraded(path: Path) -> None:
    """A farm that nobody has written yet."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DELETE FROM objects; DELETE FROM commits")
    contents = reopened(path)
    assert ("0123abcd", 0, {}) == (contents.farm_id, contents.revision, contents.objects)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM meta", "UPDATE objects SET document = NULL", "UPDATE commits SET by = 'x'"],
)
def test_a_damaged_file_is_refused_and_stays(path: Path, statement: str) -> None:
    """What cannot be read is not brought into another form."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            reopened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert [(1,)] == connection.execute("PRAGMA user_version").fetchall()


def test_an_upgrade_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start does it."""

    def fail(_: object) -> bytes:
        raise StoreError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("lvsctl.store.schema.pack", fail)
        with pytest.raises(StoreError):
            reopened(path)
    assert 4 == reopened(path).revision
