"""The server: uvicorn's, which accepts connections in a way of its own."""

import asyncio
import contextlib
import socket
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
"""How long open requests (an agent's long poll) may hold up a stop."""
TICKS_PER_S = 10
"""Of uvicorn, which looks so often whether it should end."""


class Server(uvicorn.Server):
    """Serves an app over sockets, and leaves signals to its owner.

    Args:
        app: What answers.
        budget: How many connections there may be.
        on_started: Called when connections are accepted.
    """

    def __init__(
        self, app: ASGIApp, budget: Budget, on_started: Callable[[], None] = lambda: None
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would die of the one that stopped it."""
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._refusals = RefusalLog(loop.time)
        self._open = Connections(self._budget, self._refusals.record)
        protocol = partial(HttpProtocol, self.config, self.server_state, self._open, self._refusals)
        acceptors = [
            Acceptor(listener, self._open, protocol, self._refusals) for listener in sockets or ()
        ]
        for acceptor in acceptors:
            acceptor.start()
        self.servers = acceptors  # type: ignore[assignment] # all that it does is close them
        self.started = True
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        """Close what takes too long."""
        if counter % TICKS_PER_S == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in self._open:
                connection.enforce_deadlines(now_s)
            self._refusals.flush()
        return await super().on_tick(counter)
