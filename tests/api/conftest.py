"""The real app over a real director, whose kernel, host and store are in memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner, Result
from fastapi import FastAPI
from structlog.testing import capture_logs

from api.app import create_app
from lvsctl.cli.main import lvsctl
from tests.api.bench import TOKEN, Bench, open_bench
from tests.api.command_line import Run, ThroughTheApp


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The event loop that apps and directors live on, in a thread of its own."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def app(portal: BlockingPortal) -> Iterator[FastAPI]:
    """The app, made once as that takes a while; each test gives it a director of its own."""
    with open_bench(portal) as bench:
        yield create_app(bench.daemon)


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


@pytest.fixture
def run(bench: Bench) -> Iterator[Run]:
    """Return what runs a command against the example farm.

    What the director logs is kept out of what the command prints: here they share a process.
    """

    def run(*arguments: str, status: int = 0, **more: Any) -> Result:  # noqa: ANN401 - click's
        result = CliRunner().invoke(
            lvsctl,
            arguments,
            obj=ThroughTheApp(bench),
            env={"LVSCTL_URL": "http://lb1", "LVSCTL_TOKEN": TOKEN},
            catch_exceptions=False,
            **more,
        )
        assert status == result.exit_code, result.output
        return result

    with capture_logs():
        yield run
