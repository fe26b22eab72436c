"""The UNIX socket is root's alone, and never taken away from a director that runs."""

import errno
import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lvsctl.director.access import unix_socket
from lvsctl.director.access.unix_socket import default_path, peer_of, unix_listener
from lvsctl.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short path: pytest's own may be longer than a socket's can be."""
    monkeypatch.chdir(tmp_path)
    return Path("director.sock")


def connect(path: Path) -> socket.socket:
    """Connect to a socket."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    return client


def leave_stale(path: Path) -> None:
    """Leave what a killed director leaves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))


def test_its_owner_reaches_it_and_it_is_gone_afterwards(path: Path) -> None:
    """Nobody else may even connect."""
    with unix_listener(path) as listener:
        assert listener
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        with connect(path), listener.accept()[0] as accepted:
            assert (os.getpid(), os.geteuid()) == peer_of(accepted)
    assert not path.exists()


def test_another_user_is_closed_and_logged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the file's mode ever let somebody connect."""
    with unix_listener(path) as listener, connect(path) as client, capture_logs() as logs:
        assert listener
        monkeypatch.setattr(unix_socket, "peer_of", lambda _: (1, 4711))
        with pytest.raises(ConnectionAbortedError):
            listener.accept()
        assert b"" == client.recv(1)
    assert [4711] == [line["uid"] for line in logs]


def test_what_a_killed_director_left_is_replaced(path: Path) -> None:
    """Without anybody's help."""
    leave_stale(path)
    with unix_listener(path) as listener, connect(path):
        assert listener


def test_a_director_that_runs_keeps_its_socket(path: Path) -> None:
    """The second one names the process and ends."""
    with unix_listener(path):
        with (
            pytest.raises(ConfigurationError, match=f"--socket {path}: process {os.getpid()} "),
            unix_listener(path),
        ):
            pass
        connect(path).close()


def test_a_director_that_accepts_nobody_keeps_its_socket(path: Path) -> None:
    """Its backlog is full; that is no reason to take it for dead."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with (
            connect(path),
            pytest.raises(ConfigurationError, match="another process listens"),
            unix_listener(path),
        ):
            pass
    assert path.exists()


def test_of_two_that_start_at_once_one_has_the_socket(path: Path) -> None:
    """Neither takes the other's for a stale one, however often they meet."""
    leave_stale(path)
    both, done = threading.Barrier(2), threading.Barrier(2)

    def start() -> bool:
        both.wait()
        try:
            with unix_listener(path):
                done.wait()
        except ConfigurationError:
            done.wait()
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            starts = [pool.submit(start) for _ in range(2)]
            assert [False, True] == sorted(each.result() for each in starts)


def test_the_file_of_a_successor_is_left(path: Path) -> None:
    """A director that ends late does not remove it."""
    with unix_listener(path):
        path.unlink()
        leave_stale(path)
    assert path.exists()


def test_what_is_no_socket_is_left(path: Path) -> None:
    """It may be anybody's."""
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="something else is there"), unix_listener(path):
        pass
    assert "mine" == path.read_text()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (Path("/missing/director.sock"), "--socket /missing/director.sock: No such file"),
        (Path("/" + "x" * 200), "longer than 107 bytes"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused(path: Path, wrong: str) -> None:
    """With the cause."""
    with pytest.raises(ConfigurationError, match=wrong), unix_listener(path):
        pass


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_does_not_keep_the_director_from_running(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """It serves those who have the token, and says so."""

    def fail(_: object, __: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(unix_socket.UnixListener, "bind", fail)
    with capture_logs() as logs, unix_listener(path) as listener:
        assert listener is None
    assert ["no UNIX socket: root needs the token too"] == [line["event"] for line in logs]


@pytest.mark.parametrize(
    ("runtime", "path"),
    [
        ("/run/lvsctl", "/run/lvsctl/director.sock"),
        ("/run/lvsctl:/run/other", "/run/lvsctl/director.sock"),
        ("", "/var/lib/lvsctl/director.sock"),
    ],
)
def test_it_is_where_systemd_says_or_else_with_the_state(
    monkeypatch: pytest.MonkeyPatch, runtime: str, path: str
) -> None:
    """RuntimeDirectory= is in the environment (systemd.exec(5))."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", runtime)
    assert Path(path) == default_path(Path("/var/lib/lvsctl"))
