"""The service: accepts orders on a socket; each is run by a watcher process."""

import contextlib
import os
import selectors
import signal
import socket
import struct
import traceback
from collections.abc import Collection, Iterator

from lvsctl.health.programs.messages import (
    MAX_ORDER,
    BadMessage,
    Ended,
    Refused,
    decode_order,
    encode,
)
from lvsctl.health.programs.processes import become_subreaper, kill_descendants
from lvsctl.health.programs.run import Abandoned, CannotRun, ProgramFolder, run

MAX_PROGRAMS = 64
"""Concurrent programs; further callers wait."""
ORDER_WITHIN_S = 5.0

_PEER = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7))


class Service:
    """Runs programs for its callers, in a single-threaded process.

    Args:
        listener: Listening UNIX socket.
        folder: The programs.
        callers: Ids of the users who may connect.
    """

    def __init__(
        self, listener: socket.socket, folder: ProgramFolder, callers: Collection[int]
    ) -> None:
        self._listener = listener
        self._folder = folder
        self._callers = callers
        self._watchers: set[int] = set()

    def serve(self) -> None:
        """Accept orders until SIGTERM, then kill the running programs."""
        become_subreaper()
        self._listener.settimeout(0)
        with _signals() as signals, selectors.DefaultSelector() as waiting:
            waiting.register(signals, selectors.EVENT_READ)
            while True:
                if len(self._watchers) < MAX_PROGRAMS:
                    waiting.register(self._listener, selectors.EVENT_READ)
                ready = [key.fileobj for key, _ in waiting.select()]
                with contextlib.suppress(KeyError):
                    waiting.unregister(self._listener)
                if signals in ready and signal.SIGTERM in signals.recv(1024):
                    break
                self._reap()
                if self._listener in ready:
                    self._take_one()
        kill_descendants()

    def _take_one(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        with caller:
            if _user_of(caller) in self._callers:
                self._watchers.add(self._fork(caller))

    def _fork(self, caller: socket.socket) -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self._listener.close()
                _watch_over_one(caller, self._folder)
                status = 0
            except BaseException:  # noqa: BLE001 - a child never returns into its parent's code
                traceback.print_exc()
            finally:
                os._exit(status)
        return pid

    def _reap(self) -> None:
        for pid in list(self._watchers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._watchers.remove(pid)
                if status != 0:  # the watcher was killed, and this process adopted its program
                    kill_descendants(spare=self._watchers)


def _watch_over_one(caller: socket.socket, folder: ProgramFolder) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    become_subreaper()  # not inherited across fork
    caller.settimeout(ORDER_WITHIN_S)
    with contextlib.suppress(Abandoned, TimeoutError, ConnectionError):
        answer: Ended | Refused
        try:
            answer = run(decode_order(_line(caller)), folder, caller)
        except (BadMessage, CannotRun) as error:
            answer = Refused(str(error))
        caller.sendall(encode(answer))


def _line(caller: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        data = caller.recv(MAX_ORDER)
        line += data
        if not data or len(line) > MAX_ORDER:
            raise BadMessage("not a line")
    return line


def _user_of(caller: socket.socket) -> int:
    peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(peer)
    return int(user)


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield a socket that receives signal numbers."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(0)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        yield ours
        signal.set_wakeup_fd(-1)
