"""A kernel has one director, whatever its state folder is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lvsctl.director.kernel_lock import kernel_lock
from lvsctl.errors import ConfigurationError

HOLD = """
import sys
from pathlib import Path
from lvsctl.director.kernel_lock import kernel_lock

with kernel_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file in the place of the namespace's, which the whole machine shares."""
    path = tmp_path_factory.mktemp("namespace") / "net"
    path.touch()
    return path


@contextmanager
def other_director(namespace: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process be the director."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(namespace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout
        assert b"held\n" == process.stdout.readline()
        yield process
        process.kill()


def test_a_second_director_does_not_start(namespace: Path) -> None:
    """It is told which process is the first; when that is killed, it starts."""
    with (
        other_director(namespace) as first,
        pytest.raises(ConfigurationError, match=rf"process {first.pid} .*kill {first.pid}"),
        kernel_lock(namespace),
    ):
        pass
    with kernel_lock(namespace), capture_logs() as logs:
        pass
    assert [] == logs


def test_the_lock_ends_with_the_director(namespace: Path) -> None:
    """Within one process too."""
    for _ in range(2):
        with kernel_lock(namespace), pytest.raises(ConfigurationError), kernel_lock(namespace):
            pass


def test_a_stranger_that_has_locked_the_namespace_is_in_nobodys_way(
    namespace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any local user can lock it, and must not be able to keep the director from starting."""
    with other_director(namespace) as stranger:
        monkeypatch.setattr("lvsctl.director.kernel_lock._user", lambda _: 12345)
        with capture_logs() as logs, kernel_lock(namespace):
            pass
    assert [stranger.pid] == [entry["process"] for entry in logs]
