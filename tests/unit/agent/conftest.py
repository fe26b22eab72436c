"""What the tests of the agent have in common."""

from pathlib import Path

import pytest

from tests.unit.agent.bench import Bench
from tests.unit.agent.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give each test a real server of its own."""
    return Site(tmp_path / "state")


@pytest.fixture
def bench() -> Bench:
    """Give each test a host of its own."""
    return Bench()
