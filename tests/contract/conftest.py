"""The stores that the contract tests run on."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lvsctl.store.commits import Retention
from lvsctl.store.etcd.address import open_etcd_store, parse_address
from lvsctl.store.interface import Store
from lvsctl.store.memory import MemoryStore
from lvsctl.store.sqlite import SqliteStore
from tests.support.etcd import etcd_cluster

START = datetime(2026, 1, 2, tzinfo=UTC)


def clock() -> datetime:
    """Return a constant time."""
    return START


MakeStore = Callable[..., Store]
"""Creates an empty store, optionally with a clock and a retention."""


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an etcd with one member."""
    with etcd_cluster(tmp_path_factory.mktemp("etcd"), 1) as (member,):
        yield member.url.removeprefix("http://")


@pytest.fixture(params=["sqlite", "memory", "etcd"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Return a function that creates an empty store."""
    count = iter(range(10_000))
    members = request.getfixturevalue("etcd") if request.param == "etcd" else ""

    def make(
        clock: Callable[[], datetime] = clock,
        retention: Retention = Retention(),  # noqa: B008 - a frozen value
    ) -> Store:
        if request.param == "memory":
            return MemoryStore(clock, retention)
        path = tmp_path / f"{next(count)}.db"
        if request.param == "etcd":
            address = parse_address(f"etcd://{members}/{uuid.uuid4().hex}")
            return open_etcd_store(address, path, clock, retention)
        return SqliteStore(path, clock, retention)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[Store]:
    """Return a new, empty store."""
    store = make_store()
    yield store
    store.close()
