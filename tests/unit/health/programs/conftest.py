"""Fixtures for tests of programs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all users can reach, unlike tmp_path."""
    made = Path(tempfile.mkdtemp(prefix="lvsctl-exec-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)
