"""Damaged and foreign files instead of the SQLite store: refused with a message, or harmless."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StoreCorrupt, StoreTooNew
from lvsctl.store.digest import digest, updated_digest
from lvsctl.store.interface import Contents
from lvsctl.store.local import SqliteLocalState
from lvsctl.store.schema import read_head
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.contract.farm_files import fill, outcome, pools, reopened
from tests.support.stores import commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store."""
    return tmp_path / "state" / "farm.db"


@pytest.fixture
def filled(path: Path) -> list[Contents]:
    """Create a store of three revisions; return the contents after each."""
    return fill(path)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Contents]:
    """Return the bytes of a store of several pages, and its contents."""
    path = tmp_path_factory.mktemp("image") / "farm.db"
    store = SqliteStore(path, clock)
    for prefix in "ab":
        commit(store, pools(prefix))
    commit(store, dict.fromkeys(pools("a", 5)))
    contents = store.load()
    store.close()
    return path.read_bytes(), contents


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that writes bytes to the path of a store."""
    count = iter(range(100_000))

    def write(content: bytes) -> Path:
        path = tmp_path / str(next(count)) / "farm.db"
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    return write


quickly = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
POSITIONS = st.integers(0, 2**24)
"""Position of a byte or a bit, modulo the size."""


def flipped(content: bytes, positions: list[int]) -> bytes:
    """Return bytes with some bits flipped."""
    result = bytearray(content)
    for position in positions:
        byte, bit = divmod(position % (len(content) * 8), 8)
        result[byte] ^= 1 << bit
    return bytes(result)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"services: []\n", b"SQLite format 3\0"])
def test_a_file_of_something_else_is_refused(
    damaged: Callable[[bytes], Path], content: bytes
) -> None:
    """An empty file, zeros, a farm file, a bare header: damaged, with the cure."""
    path = damaged(content)
    with pytest.raises(StoreCorrupt) as refusal:
        reopened(path)
    assert str(path) in str(refusal.value)
    assert "Restore the file from a backup" in str(refusal.value)
    assert "--observe" in str(refusal.value)
    assert content == path.read_bytes()


@quickly
@given(content=st.binary(max_size=8192))
def test_random_bytes_are_refused(damaged: Callable[[bytes], Path], content: bytes) -> None:
    """Garbage is never taken for a store, and the file is left alone."""
    assert StoreCorrupt is outcome(damaged(content))


@quickly
@given(end=POSITIONS)
def test_a_truncated_file_is_refused(
    damaged: Callable[[bytes], Path], image: tuple[bytes, Contents], end: int
) -> None:
    """Wherever it is truncated."""
    content, _ = image
    assert StoreCorrupt is outcome(damaged(content[: end % len(content)]))


@quickly
@given(positions=st.lists(POSITIONS, min_size=1))
def test_flipped_bits_are_refused_or_harmless(
    damaged: Callable[[bytes], Path], image: tuple[bytes, Contents], positions: list[int]
) -> None:
    """A damaged file never gives a farm other than the stored one."""
    content, contents = image
    assert outcome(damaged(flipped(content, positions))) in (contents, StoreCorrupt, StoreTooNew)


@settings(quickly, max_examples=50)
@given(positions=st.lists(POSITIONS, min_size=1))
def test_a_damaged_journal_costs_no_more_than_its_commits(
    tmp_path_factory: pytest.TempPathFactory, positions: list[int]
) -> None:
    """With flipped bits in the write-ahead log, an earlier revision is intact."""
    path = tmp_path_factory.mktemp("journal") / "farm.db"
    store = SqliteStore(path, clock)
    history = [store.load()]
    for prefix in "abc":
        commit(store, pools(prefix))
        history.append(store.load())
    copy = path.parent / "copy.db"
    copy.write_bytes(path.read_bytes())
    journal = path.with_name("farm.db-wal").read_bytes()
    store.close()
    copy.with_name("copy.db-wal").write_bytes(flipped(journal, positions))
    assert outcome(copy) in (*history, StoreCorrupt)


def tampered(path: Path, statement: str) -> None:
    """Change a file with another program."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement).rowcount
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("DELETE FROM live WHERE name = 'a1'", "rows of its table live"),
        ("DELETE FROM live", "rows of its table live"),
        ("UPDATE live SET document = replace(document, 'ipip', 'gre')", "a row of its table live"),
        ("UPDATE live SET place = 99 WHERE name = 'a1'", "a row of its table live"),
        ("DELETE FROM head", "its table head is empty"),
        ("UPDATE head SET revision = 2", "a row of its table head"),
        ("UPDATE head SET digest = ''", "a row of its table head"),
        ("DELETE FROM meta", "its table meta has no entry written_by"),
    ],
)
def test_tampered_rows_are_refused(
    path: Path, filled: list[Contents], statement: str, cause: str
) -> None:
    """Deleted or altered by another program: damage, even if SQLite finds none."""
    assert filled
    tampered(path, statement)
    with pytest.raises(StoreCorrupt, match=cause) as refusal:
        reopened(path)
    assert "Forwarding in the kernel is not affected" in str(refusal.value)


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("DELETE FROM log WHERE revision = 2", "commits between revisions 1 and 3 are missing"),
        ("DELETE FROM log", "commits between revisions 1 and 3 are missing"),
        ("UPDATE log SET by = 'nobody'", "a row of its table log"),
        ("UPDATE log SET entry = zeroblob(9)", "a row of its table log"),
    ],
)
def test_a_damaged_history_is_refused_when_it_is_read(
    path: Path, filled: list[Contents], statement: str, cause: str
) -> None:
    """The farm itself is intact, so the director works and accepts writes."""
    tampered(path, statement)
    store = SqliteStore(path, clock)
    assert filled[-1] == store.load()
    with pytest.raises(StoreCorrupt, match=cause):
        store.history(10)
    with pytest.raises(StoreCorrupt, match=cause):
        store.changes_after(filled[0].position, 10)
    assert 4 == commit(store, pools("d"))
    assert [4] == [each.revision for each in store.history(1)]
    store.close()


def test_an_entry_of_another_version_is_refused(path: Path, filled: list[Contents]) -> None:
    """An intact row of the history without valid changes."""
    assert filled
    store = SqliteStore(path, clock)
    with store._database.transaction():
        store._database.write("log", [(3, "id", 1, clock().isoformat(), "test", b"no zlib")])
    with pytest.raises(StoreCorrupt, match="no entry of a log"):
        store.history(1)
    store.close()


def test_text_that_is_not_utf_8_is_refused(path: Path, filled: list[Contents]) -> None:
    """SQLite accepts any bytes as text."""
    assert filled
    connection = sqlite3.connect(path)
    connection.execute("UPDATE live SET name = CAST(x'ff' AS TEXT) WHERE name = 'a1'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt, match="UTF-8"):
        reopened(path)


def test_a_document_of_another_version_is_refused(path: Path, filled: list[Contents]) -> None:
    """An intact row without a valid object."""
    assert filled
    store = SqliteStore(path, clock)
    head, row = read_head(store._database), (99, "pool", "x", 3, '{"name":"x","colour":"red"}')
    total = updated_digest(head.digest, added=digest(row))
    with store._database.transaction():
        store._database.write("live", [row])
        store._database.write("head", [replace(head, digest=total).row])
    with pytest.raises(StoreCorrupt, match=r"extra fields found \(colour\)"):
        store.load()
    store.close()


def test_a_journal_without_its_file_is_refused(path: Path, filled: list[Contents]) -> None:
    """Its commits would be lost with a new file."""
    assert filled
    path.with_name("farm.db-wal").write_bytes(b"journal")
    path.unlink()
    with pytest.raises(StoreCorrupt, match=r"its journal farm\.db-wal exists, but the file itself"):
        reopened(path)
    assert not path.exists()


def test_another_database_of_lvsctl_is_refused(path: Path) -> None:
    """The local state instead of the store."""
    SqliteLocalState(path, "boot").close()
    with pytest.raises(StoreCorrupt, match="another of its files"):
        reopened(path)


def test_a_newer_format_is_refused_with_its_writer(path: Path, filled: list[Contents]) -> None:
    """The message names the version to install again."""
    assert filled
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"format 3, written by lvsctl 0\.1\.0.*Install"):
        reopened(path)
    assert before == path.read_bytes()
