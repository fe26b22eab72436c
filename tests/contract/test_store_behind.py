"""A store whose file reverted reports it, and refuses commits until the operator decides."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lvsctl.errors import StoreBehind
from lvsctl.store.position import Position
from lvsctl.store.sqlite import SqliteStore
from tests.contract.conftest import clock
from tests.contract.farm_files import copied, fill, pools, reopened
from tests.support.stores import commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store."""
    return tmp_path / "state" / "farm.db"


def killed(path: Path, folder: Path) -> tuple[Path, Position]:
    """Return a copy of a store as after a kill, with a full journal, and its position."""
    store = SqliteStore(path, clock)
    for prefix in "abc":
        commit(store, pools(prefix))
    copy, position = copied(path, folder), store.load().position
    store.close()
    return copy, position


def lose_the_journal(path: Path) -> None:
    """Delete it."""
    path.with_name("farm.db-wal").unlink()


def put_an_older_copy(path: Path) -> None:
    """Restore an earlier copy of the same farm."""
    contents = reopened(path)
    older = SqliteStore(path.with_name("older.db"), clock)
    older.begin_epoch(contents.farm_id, 0, "test")
    older.close()
    path.with_name("older.db").rename(path)


def put_another_farm(path: Path) -> None:
    """Replace it by the store of another farm."""
    for file in path.parent.glob("farm.db*"):
        if not file.name.endswith(".acknowledged"):
            file.unlink()
    SqliteStore(path.with_name("another.db"), clock).close()
    path.with_name("another.db").rename(path)


def lose_the_file(path: Path) -> None:
    """Delete it with its journal."""
    path.unlink()
    lose_the_journal(path)


@pytest.mark.parametrize(
    "harm", [lose_the_journal, put_an_older_copy, put_another_farm, lose_the_file]
)
def test_lost_commits_are_reported(
    path: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """At every start until the operator decides; reads work, writes are refused."""
    copy, position = killed(path, tmp_path / "copy")
    harm(copy)
    for _ in range(2):
        contents = reopened(copy)
        assert position == contents.lost
        assert position != contents.position
    store = SqliteStore(copy, clock)
    for refused in (lambda: commit(store, pools("d")), store.check_writable):
        with pytest.raises(StoreBehind) as refusal:
            refused()
        assert str(copy) in str(refusal.value)
        assert str(position) in str(refusal.value)
        assert "restart the director" in str(refusal.value)
    assert contents == store.load()
    store.close()


def test_a_new_epoch_gives_up_lost_commits(path: Path, tmp_path: Path) -> None:
    """From then on commits are accepted, and the next start reports nothing."""
    copy, position = killed(path, tmp_path / "copy")
    lose_the_journal(copy)
    store = SqliteStore(copy, clock)
    store.begin_epoch(position.farm_id, 2, "anna")
    assert store.load().lost is None
    commit(store, pools("d"))
    store.close()
    assert (2, None) == (reopened(copy).epoch, reopened(copy).lost)


def test_the_same_revision_of_a_diverged_copy_is_detected(path: Path, tmp_path: Path) -> None:
    """Two copies of a store that each got another commit have diverged."""
    fill(path)
    copy = copied(path, tmp_path / "copy")
    for each, prefix in ((path, "d"), (copy, "e")):
        store = SqliteStore(each, clock)
        commit(store, pools(prefix))
        store.close()
    shutil.copy(copy, path)
    contents = reopened(path)
    assert contents.position == contents.lost


@pytest.mark.parametrize("content", [b"", b"garbage", b"x" * 600, b'[{"epoch":1}, "id"] 1\n'])
def test_an_unreadable_record_is_rewritten(path: Path, content: bytes) -> None:
    """It must never keep an intact store from being used."""
    before = fill(path)[-1]
    beside = path.with_name("farm.db.acknowledged")
    whole = beside.read_bytes()
    beside.write_bytes(content)
    assert before == reopened(path)
    assert whole == beside.read_bytes()[: len(whole)]


def test_a_store_without_a_record_gets_one(path: Path) -> None:
    """One that was copied alone, or written by an older version."""
    before = fill(path)[-1]
    beside = path.with_name("farm.db.acknowledged")
    whole = beside.read_bytes()
    beside.unlink()
    assert before == reopened(path)
    assert whole == beside.read_bytes()


def test_a_record_that_cannot_be_written_is_ignored(path: Path) -> None:
    """Only the store itself matters."""
    path.parent.mkdir()
    path.with_name("farm.db.acknowledged").mkdir()
    store = SqliteStore(path, clock)
    assert 1 == commit(store, pools("a"))
    store.close()
    assert (1, None) == (reopened(path).revision, reopened(path).lost)
