"""What a restart, a disk that refuses and a second process do to the SQLite store."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lvsctl.errors import StoreCorrupt, StoreError
from lvsctl.store.interface import Contents
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.contract.farm_files import fill, pools, reopened
from tests.support.stores import commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is to be."""
    return tmp_path / "state" / "farm.db"


@pytest.fixture
def filled(path: Path) -> list[Contents]:
    """Make a store of three revisions and return what each left."""
    return fill(path)


def test_the_farm_survives_a_restart(path: Path, filled: list[Contents]) -> None:
    """Contents, revisions, order and farm_id are what they were."""
    assert filled[-1] == reopened(path)


def test_a_new_epoch_survives_a_restart(path: Path, filled: list[Contents]) -> None:
    """It is durable when it returns."""
    store = SqliteStore(path, clock)
    position = store.begin_epoch(filled[-1].farm_id, 2, "anna")
    store.close()
    assert (position, filled[-1].objects) == (reopened(path).position, reopened(path).objects)


def test_who_and_when_are_kept(path: Path) -> None:
    """The history knows each commit's time and author."""
    store = SqliteStore(path, clock)
    commit(store, pools("a"), by="anna")
    store.close()
    again = SqliteStore(path, clock)
    (entry,) = again.history(10)
    again.close()
    assert (1, clock(), "anna", pools("a")) == (entry.revision, entry.at, entry.by, entry.changes)


def test_a_start_reads_nothing_of_the_history(
    path: Path, filled: list[Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes the same time however long that is; nor does a write read of it."""
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:  # noqa: ANN401 - sqlite3's own
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    store = SqliteStore(path, clock)
    assert filled[-1] == store.load()
    commit(store, pools("d"))
    store.close()
    assert [] != [each for each in statements if "live" in each]
    touching = [each.partition(" VALUES")[0] for each in statements if re.search(r"\blog\b", each)]
    assert ["INSERT OR REPLACE INTO log"] == touching


def test_it_is_durable_before_commit_returns(path: Path) -> None:
    """The journal is the write-ahead log, and every commit is synchronised."""
    store = SqliteStore(path, clock)
    settings = [store._database.query(f"PRAGMA {name}") for name in ("journal_mode", "synchronous")]
    store.close()
    full = 2
    assert [[("wal",)], [(full,)]] == settings


# --- a disk that refuses --------------------------------------------------------------------


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond a size fail, as it would on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_commit_that_does_not_fit_is_refused_and_the_store_goes_on(path: Path) -> None:
    """Nothing of it is stored, and with room again the next commit is."""
    store = SqliteStore(path, clock)
    commit(store, pools("a"))
    before = store.load()
    with (
        files_no_larger_than(path.with_name("farm.db-wal").stat().st_size + 5000),
        pytest.raises(StoreError, match="nothing was stored") as refusal,
    ):
        commit(store, pools("b", 500))
    assert str(path) in str(refusal.value)
    assert before == store.load()
    assert 2 == commit(store, pools("c"))
    after = store.load()
    store.close()
    assert after == reopened(path)


def test_memory_goes_back_with_a_commit_that_failed(path: Path) -> None:
    """What the disk refused counts for nothing when the next commit is compared."""
    store = SqliteStore(path, clock)
    base = store.load().position
    refused = pools("b", 500)
    room = path.with_name("farm.db-wal").stat().st_size + 5000
    with files_no_larger_than(room), pytest.raises(StoreError):
        store.commit(refused, base=base, expect={}, by="test", commit_id="first")
    expect = dict.fromkeys(refused, 0)
    assert 1 == store.commit(refused, base=base, expect=expect, by="test", commit_id="second")
    store.close()
    assert set(refused) == set(reopened(path).objects)


def test_a_store_that_cannot_be_made_is_refused(path: Path) -> None:
    """With no room for the file nothing is left that would be taken for one."""
    path.parent.mkdir()
    with files_no_larger_than(100), pytest.raises(StoreError):
        SqliteStore(path, clock)
    assert not path.exists()
    assert 0 == reopened(path).revision


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message names the path and the cause."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "farm.db"
    with pytest.raises(StoreError, match=r"cannot make .*/file: File exists"):
        SqliteStore(path, clock)


# --- two processes --------------------------------------------------------------------------

OPEN = """
import sys
from pathlib import Path
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock

SqliteStore(Path(sys.argv[1]), clock)
"""


def test_a_second_process_is_refused_with_the_first_ones_number(path: Path) -> None:
    """Two directors never work on one state folder."""
    store = SqliteStore(path, clock)
    second = subprocess.run(
        [sys.executable, "-c", OPEN, str(path)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert f"StoreInUse: {path} is in use by process {os.getpid()}:" in second.stderr.decode()
    assert 1 == commit(store, pools("a"))
    store.close()


def test_a_second_store_in_one_process_is_refused(path: Path) -> None:
    """A lock is held by an opening of the file, not by a process."""
    store = SqliteStore(path, clock)
    with pytest.raises(StoreError, match=f"is in use by process {os.getpid()}:"):
        SqliteStore(path, clock)
    store.close()


def test_the_lock_ends_with_the_store(path: Path) -> None:
    """Also when the file turned out to be damaged."""
    SqliteStore(path, clock).close()
    content = path.read_bytes()
    path.write_bytes(b"garbage")
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            SqliteStore(path, clock)
    path.write_bytes(content)
    SqliteStore(path, clock).close()


@pytest.mark.parametrize("moved", ["the folder", "the file"])
def test_a_store_that_was_moved_away_takes_no_writes(path: Path, moved: str) -> None:
    """Whoever opens what is under its name now would not know of them. Moved back, it goes on."""
    store = SqliteStore(path, clock)
    commit(store, pools("a"))
    found = path.parent if moved == "the folder" else path
    aside = found.rename(path.parent.parent / "aside")
    with pytest.raises(StoreError, match=r"is not the file that this process .* has open"):
        commit(store, pools("b"))
    assert 1 == store.load().revision
    aside.rename(found)
    assert 2 == commit(store, pools("b"))
    store.close()
    assert 2 == reopened(path).revision


def test_a_store_in_whose_place_another_was_put_takes_no_writes(path: Path) -> None:
    """As when a backup is copied over the file of a director that runs."""
    store = SqliteStore(path, clock)
    path.unlink()
    path.write_bytes(b"another")
    with pytest.raises(StoreError, match=r"is not the file that this process .* has open"):
        commit(store, pools("a"))
    assert b"another" == path.read_bytes()
    store.close()
