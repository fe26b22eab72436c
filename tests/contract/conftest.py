"""The stores that keep to one contract."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lvsctl.store.commits import Retention
from lvsctl.store.interface import Store
from lvsctl.store.memory import MemoryStore
from lvsctl.store.sqlite import SqliteStore

START = datetime(2026, 1, 2, tzinfo=UTC)


def clock() -> datetime:
    """Tell a time that stands still."""
    return START


MakeStore = Callable[..., Store]
"""Makes a new, empty store, with a clock and a retention where they matter."""


@pytest.fixture(params=["sqlite", "memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Return what makes a new, empty store."""
    count = iter(range(10_000))

    def make(
        clock: Callable[[], datetime] = clock,
        retention: Retention = Retention(),  # noqa: B008 - a frozen value
    ) -> Store:
        if request.param == "memory":
            return MemoryStore(clock, retention)
        return SqliteStore(tmp_path / f"{next(count)}.db", clock, retention)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[Store]:
    """Return a new, empty store."""
    store = make_store()
    yield store
    store.close()
