"""The real app over a real director, whose kernel, host and store are in memory."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from api.app import create_app
from tests.api.bench import TOKEN, Bench, open_bench


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The event loop that apps and directors live on, in a thread of its own."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def app(portal: BlockingPortal) -> Iterator[FastAPI]:
    """The app, made once as that takes a while; each test gives it a director of its own."""
    with open_bench(portal) as bench:
        yield create_app(bench.daemon, TOKEN)


@pytest.fixture
def fresh(portal: BlockingPortal, app: FastAPI) -> Iterator[Bench]:
    """A director without a farm that has not looked at its kernel yet."""
    with open_bench(portal) as bench:
        app.state.daemon = bench.daemon
        bench.app = app
        yield bench


@pytest.fixture
def empty(fresh: Bench) -> Iterator[Bench]:
    """A running director without a farm."""
    with fresh.running():
        yield fresh


@pytest.fixture
def bench(empty: Bench) -> Bench:
    """A running director with the example farm in its kernel."""
    empty.put_example()
    return empty
