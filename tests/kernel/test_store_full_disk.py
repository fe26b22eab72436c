"""The store on a file system that is full."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lvsctl.errors import StoreError
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.sqlite import SqliteStore
from tests.support.stores import commit

ROOM_BYTES = 512 * 1024


def clock() -> datetime:
    """Tell a time that stands still."""
    return datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", folder], check=True
    )
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.tell() < 2 * ROOM_BYTES:
            file.write(b"x" * 4096)
    assert path.stat().st_size <= ROOM_BYTES


def test_a_commit_on_a_full_disk_stores_nothing_and_the_next_does(small_disk: Path) -> None:
    """It is refused with the cure; with room again the store goes on, and over a restart."""
    path, ballast = small_disk / "farm.db", small_disk / "ballast"
    store = SqliteStore(path, clock)
    commit(store, {ObjectId(Kind.POOL, "a"): Pool("a")})
    before = store.load()
    fill(ballast)
    many = {ObjectId(Kind.POOL, f"p{n}"): Pool(f"p{n}") for n in range(500)}
    with pytest.raises(StoreError, match=r"farm\.db: .*full; nothing was stored; free some space"):
        commit(store, many)
    assert before == store.load()
    ballast.unlink()
    assert 2 == commit(store, {ObjectId(Kind.POOL, "b"): Pool("b")})
    after = store.load()
    store.close()
    again = SqliteStore(path, clock)
    found = again.load()
    again.close()
    assert after == found


def test_a_store_is_not_made_on_a_full_disk(small_disk: Path) -> None:
    """Nothing is left that would be taken for a store, and with room it is made."""
    path, ballast = small_disk / "farm.db", small_disk / "ballast"
    fill(ballast)
    with pytest.raises(StoreError):
        SqliteStore(path, clock)
    assert not path.exists()
    ballast.unlink()
    SqliteStore(path, clock).close()


def test_a_director_starts_on_a_full_disk(small_disk: Path) -> None:
    """What is stored is read, so that the director can do its work; writes are refused."""
    path, ballast = small_disk / "farm.db", small_disk / "ballast"
    store = SqliteStore(path, clock)
    commit(store, {ObjectId(Kind.POOL, "a"): Pool("a")})
    before = store.load()
    store.close()
    fill(ballast)
    again = SqliteStore(path, clock)
    found = again.load()
    with pytest.raises(StoreError, match="free some space"):
        commit(again, {ObjectId(Kind.POOL, "b"): Pool("b")})
    ballast.unlink()
    assert 2 == commit(again, {ObjectId(Kind.POOL, "b"): Pool("b")})
    again.close()
    assert before == found
