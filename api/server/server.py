"""The server: uvicorn's, with its own way of accepting connections."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from api.server.acceptor import Acceptor
from api.server.connections import Connections
from api.server.limits import Budget
from api.server.pieces import InPieces
from api.server.protocol import HttpProtocol
from api.server.refusals import RefusalLog

CLOSE_S = 2
"""Time that open requests (an agent's long poll) may delay a shutdown."""
TICKS_PER_S = 10
"""How often uvicorn calls ``on_tick``."""


class Server(uvicorn.Server):
    """Serves an app over sockets; leaves signals to the caller.

    Args:
        app: The app.
        budget: Maximum numbers of connections.
        on_started: Called once connections are accepted.
        tls: Returns what new connections over TCP are given; None for plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        budget: Budget,
        on_started: Callable[[], None] = lambda: None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                InPieces(app),
                http=HttpProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=CLOSE_S,
            )
        )
        self._budget = budget
        self._on_started = on_started
        self._tls = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise the one that stopped it again."""
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Start accepting connections."""
        loop = asyncio.get_running_loop()
        self._refusals = RefusalLog(loop.time)
        self._open = Connections(self._budget, self._refusals.record)
        protocol = partial(HttpProtocol, self.config, self.server_state, self._open, self._refusals)
        acceptors = [
            Acceptor(listener, self._open, protocol, self._refusals, self._tls_for(listener))
            for listener in sockets or ()
        ]
        for acceptor in acceptors:
            acceptor.start()
        self.servers = acceptors  # type: ignore[assignment] # uvicorn only closes them
        self.started = True
        self._on_started()

    def _tls_for(self, listener: socket.socket) -> Callable[[], ssl.SSLContext] | None:
        return None if listener.family == socket.AF_UNIX else self._tls

    async def on_tick(self, counter: int) -> bool:
        """Enforce deadlines."""
        if counter % TICKS_PER_S == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in self._open:
                connection.enforce_deadlines(now_s)
            self._refusals.flush()
        return await super().on_tick(counter)
