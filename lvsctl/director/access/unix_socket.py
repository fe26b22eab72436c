"""The director's UNIX socket: the way in for root on this host, without a token."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from lvsctl.errors import ConfigurationError

NAME = "director.sock"
MODE = 0o600
MAX_PATH = 107
"""Bytes; sockaddr_un has 108 (unix(7))."""

_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)
_DISK_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

log = structlog.get_logger(__name__)


def default_path(state_dir: Path) -> Path:
    """Return where the socket is: in systemd's RuntimeDirectory, else in the state folder."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder or state_dir) / NAME


class UnixListener(socket.socket):
    """Accepts connections of root and of this process's own user; others are closed."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one.

        Raises:
            ConnectionAbortedError: The peer is somebody else.
        """
        connection, address = super().accept()
        _, uid = peer_of(connection)
        if uid not in (0, os.geteuid()):
            connection.close()
            log.warning("somebody else at the UNIX socket", uid=uid)
            raise ConnectionAbortedError(errno.ECONNABORTED, f"user {uid} may not use the socket")
        return connection, address


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end of a UNIX socket, as they were at connect(2)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(raw)
    return pid, uid


@contextlib.contextmanager
def unix_listener(path: Path) -> Iterator[UnixListener | None]:
    """Listen on a UNIX socket, and remove its file in the end.

    A file that nobody listens on is one that a killed director left behind; it is replaced.
    Where the disk is full or read-only there is None, as a director must run there too.

    Args:
        path: The socket's file; its folder must exist.

    Raises:
        ConfigurationError: The path is used by somebody else, or cannot be used.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise _refusal(path, f"the path is longer than {MAX_PATH} bytes; choose a shorter one")
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(_listen(path))
        except OSError as error:
            if error.errno not in _DISK_FAILS:
                raise _refusal(path, error.strerror or str(error)) from error
            log.warning("no UNIX socket: root needs the token too", reason=str(error))
            yield None
            return
        own = path.lstat().st_ino
        try:
            yield listener
        finally:
            _remove(path, own)


def _listen(path: Path) -> UnixListener:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Two directors that start at once must not each take the other's socket for a stale one.
        fcntl.flock(folder, fcntl.LOCK_EX)
        _remove_stale(path)
        listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            path.chmod(MODE)  # before listen(2), until which nobody can connect
            listener.listen()
        except OSError:
            listener.close()
            raise
        return listener
    finally:
        os.close(folder)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise _refusal(path, f"something else is there; choose another path, or: rm {path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)  # its backlog may be full
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            raise _refusal(path, "another process listens there; choose another path") from None
        pid, _ = peer_of(probe)
    raise _refusal(path, f"process {pid} listens there; stop it (kill {pid}), or choose another")


def _remove(path: Path, own: int) -> None:
    """Remove the socket's file unless somebody has put another in its place."""
    with contextlib.suppress(OSError):  # the next director replaces it
        if path.lstat().st_ino == own:
            path.unlink()


def _refusal(path: Path, detail: str) -> ConfigurationError:
    return ConfigurationError(f"--socket {path}: {detail}")
