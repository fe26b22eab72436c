"""A store whose file went back says so, and takes no commits until a person has decided."""

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
    """Return where the store is to be."""
    return tmp_path / "state" / "farm.db"


def killed(path: Path, folder: Path) -> tuple[Path, Position]:
    """Return a copy of a store as a kill leaves it, its journal full, and where it was then."""
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
    """Restore a store of the same farm from before."""
    contents = reopened(path)
    older = SqliteStore(path.with_name("older.db"), clock)
    older.begin_epoch(contents.farm_id, 0, "test")
    older.close()
    path.with_name("older.db").rename(path)


def put_another_farm(path: Path) -> None:
    """Put a store in its place that was never the same."""
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
def test_what_was_acknowledged_and_is_gone_is_said(
    path: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """At every start until a person decides; what is there can be read, and nothing be written."""
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


def test_a_new_epoch_gives_up_what_was_lost(path: Path, tmp_path: Path) -> None:
    """From then on it takes commits, and the next start finds nothing wrong."""
    copy, position = killed(path, tmp_path / "copy")
    lose_the_journal(copy)
    store = SqliteStore(copy, clock)
    store.begin_epoch(position.farm_id, 2, "anna")
    assert store.load().lost is None
    commit(store, pools("d"))
    store.close()
    assert (2, None) == (reopened(copy).epoch, reopened(copy).lost)


def test_the_same_revision_of_another_history_is_another(path: Path, tmp_path: Path) -> None:
    """Two copies of a store that each took a commit are not at the same place."""
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
def test_a_note_that_cannot_be_read_is_written_anew(path: Path, content: bytes) -> None:
    """It is there for safety only, and must never be in the way of a store that is whole."""
    before = fill(path)[-1]
    beside = path.with_name("farm.db.acknowledged")
    whole = beside.read_bytes()
    beside.write_bytes(content)
    assert before == reopened(path)
    assert whole == beside.read_bytes()[: len(whole)]


def test_a_store_without_the_note_begins_one(path: Path) -> None:
    """As one that was copied alone, or that an older version wrote."""
    before = fill(path)[-1]
    beside = path.with_name("farm.db.acknowledged")
    whole = beside.read_bytes()
    beside.unlink()
    assert before == reopened(path)
    assert whole == beside.read_bytes()


def test_a_disk_that_refuses_the_note_is_in_nobodys_way(path: Path) -> None:
    """What is stored is what counts."""
    path.parent.mkdir()
    path.with_name("farm.db.acknowledged").mkdir()
    store = SqliteStore(path, clock)
    assert 1 == commit(store, pools("a"))
    store.close()
    assert (1, None) == (reopened(path).revision, reopened(path).lost)
