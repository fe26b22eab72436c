"""Connections are taken in turn with everything else, and without descriptors less often."""

import asyncio
import errno
import itertools
import socket
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from api.access import AUTHENTICATED
from api.server.acceptor import AT_ONCE, FIRST_PAUSE_S, LONGEST_PAUSE_S, Acceptor
from api.server.connections import Connections
from api.server.limits import Budget
from api.server.protocol import HttpProtocol
from api.server.refusals import RefusalLog
from tests.api.server.served import SIXTEEN, App, settle
from tests.unit import virtual_time


class Listener(socket.socket):
    """Fails to accept as often as it is told to, and notes when it was asked.

    Attributes:
        failures: What the next calls raise.
        asked_s: When each call came.
    """

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.bind(("127.0.0.1", 0))
        self.failures: list[OSError] = []
        self.asked_s: list[float] = []

    def accept(self) -> tuple[socket.socket, object]:
        self.asked_s.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        return super().accept()


class Accepting:
    """An acceptor whose connections an app serves."""

    def __init__(self, budget: Budget = SIXTEEN, app: ASGIApp | None = None) -> None:
        self.listener = Listener()
        self.refusals = RefusalLog(asyncio.get_running_loop().time)
        self.connections = Connections(budget, self.refusals.record)
        config = uvicorn.Config(
            app or App(), http=HttpProtocol, ws="none", lifespan="off", log_config=None
        )
        config.load()
        state = ServerState()
        self.acceptor = Acceptor(
            self.listener,
            self.connections,
            lambda source: HttpProtocol(config, state, self.connections, self.refusals, source),
            self.refusals,
        )
        self.acceptor.start()
        self._opened = ExitStack()

    def connect(self) -> socket.socket:
        """Open a connection as a client."""
        client = self._opened.enter_context(socket.create_connection(self.listener.getsockname()))
        client.setblocking(False)  # noqa: FBT003 - the standard library's
        return client

    async def close(self) -> None:
        self.acceptor.close()
        for connection in self.connections:
            connection.abort()
        await settle()
        self._opened.close()
        self.listener.close()


async def authenticating(scope: Scope, _: Receive, send: Send) -> None:
    """Take every request for one with a valid credential."""
    scope["state"][AUTHENTICATED]()
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


def is_open(client: socket.socket) -> bool:
    """Say whether the server has left a connection open."""
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def test_no_more_connections_are_open_than_there_may_be() -> None:
    """Not even for a moment, however many come at once; the newest stay."""

    async def scenario() -> None:
        accepting = Accepting(Budget(anonymous=4, authenticated=4))
        clients = [accepting.connect() for _ in range(100)]
        most = 0
        for _ in range(500):
            await asyncio.sleep(0)
            most = max(most, len(list(accepting.connections)))
        assert [False] * 96 + [True] * 4 == [is_open(client) for client in clients]
        assert most <= 4 + AT_ONCE
        await accepting.close()

    virtual_time.run(scenario())


def test_a_crowd_with_credentials_is_let_in() -> None:
    """As when a director returns to a thousand agents behind one address."""

    async def scenario() -> None:
        accepting = Accepting(Budget(anonymous=64, authenticated=1000), app=authenticating)
        clients = [accepting.connect() for _ in range(400)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(2000):
            await asyncio.sleep(0)
        assert [b"HTTP/1.1 204"] * 400 == [client.recv(12) for client in clients]
        await accepting.close()

    virtual_time.run(scenario())


def test_without_descriptors_it_pauses() -> None:
    """Longer each time, with one line in the log; then it goes on."""

    async def scenario() -> None:
        accepting = Accepting()
        failures = [OSError(errno.EMFILE, "Too many open files") for _ in range(20)]
        accepting.listener.failures = failures.copy()
        accepting.connect()
        with capture_logs() as lines:
            await asyncio.sleep(20 * LONGEST_PAUSE_S)
        asked_s = accepting.listener.asked_s
        pauses_s = [after - before for before, after in itertools.pairwise(asked_s)]
        assert pytest.approx(FIRST_PAUSE_S) == pauses_s[0]
        assert pytest.approx(LONGEST_PAUSE_S) == pauses_s[18]
        assert len(failures) <= len(asked_s) <= len(failures) + 2
        assert 1 == len(list(accepting.connections))
        assert 1 == len(lines)
        assert "LimitNOFILE" in str(lines[0]["counts"])
        await accepting.close()

    virtual_time.run(scenario())


def test_a_connection_that_broke_in_the_queue_is_passed_over() -> None:
    """The next one is taken."""

    async def scenario() -> None:
        accepting = Accepting()
        accepting.listener.failures = [OSError(errno.ECONNABORTED, "aborted")]
        accepting.connect()
        await settle()
        assert 1 == len(list(accepting.connections))
        await accepting.close()

    virtual_time.run(scenario())


def test_once_closed_nothing_is_accepted() -> None:
    """Not after a pause either."""

    async def scenario() -> None:
        accepting = Accepting()
        accepting.listener.failures = [OSError(errno.ENFILE, "Too many open files in system")]
        accepting.connect()
        await settle()
        accepting.acceptor.close()
        await asyncio.sleep(10 * LONGEST_PAUSE_S)
        assert [] == list(accepting.connections)
        await accepting.close()

    virtual_time.run(scenario())
