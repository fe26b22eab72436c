"""Accepts connections from a listening socket, no faster than others can be closed for them."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from functools import partial

from api.server.connections import Connections, source_of
from api.server.limits import LINGER_S
from api.server.protocol import HttpProtocol
from api.server.refusals import RefusalLog

BACKLOG = 1024
AT_ONCE = 16
"""Connections accepted in one iteration of the event loop."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
OUT_OF_RESOURCES = "not accepted: out of file descriptors or memory; raise LimitNOFILE in the unit"
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """Accepts on one socket.

    asyncio's servers accept up to two thousand connections before any can be closed, and if they
    run out of descriptors they log that just as often.

    Args:
        listener: The socket.
        connections: Open connections, to which new ones are added.
        protocol: Creates the protocol of a connection from its source.
        refusals: Counts failures to accept.
        tls: Returns what new connections are given; None for none.
    """

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        protocol: Callable[[str], HttpProtocol],
        refusals: RefusalLog,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._protocol = protocol
        self._refusals = refusals
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks = set[asyncio.Task[None]]()
        self._resume: asyncio.TimerHandle | None = None
        self._pause_s = 0.0

    def start(self) -> None:
        """Start accepting."""
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library's
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Stop accepting."""
        self._loop.remove_reader(self._listener)
        if self._resume is not None:
            self._resume.cancel()

    async def wait_closed(self) -> None:
        """Return at once, as closing is synchronous."""

    def _accept(self) -> None:
        # Descriptors of evicted connections are free only in the loop's next iteration.
        for _ in range(AT_ONCE - self._connections.leaving):
            try:
                accepted, peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in NO_RESOURCES:
                    self._pause()
                    return
                # The connection broke before it was accepted (accept(2)).
                continue
            self._pause_s = 0.0
            self._serve(accepted, peer)

    def _serve(self, accepted: socket.socket, peer: object) -> None:
        protocol = self._protocol(source_of(peer))
        self._connections.add(protocol)
        task = self._loop.create_task(self._connect(accepted, protocol))
        if self._tls is not None:
            protocol.handshake = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._connected, accepted, protocol))

    async def _connect(self, accepted: socket.socket, protocol: HttpProtocol) -> None:
        # The protocol's own deadline is for the handshake too.
        tls = {"ssl": self._tls(), "ssl_shutdown_timeout": LINGER_S} if self._tls else {}
        await self._loop.connect_accepted_socket(lambda: protocol, accepted, **tls)  # type: ignore[arg-type]

    def _connected(
        self, accepted: socket.socket, protocol: HttpProtocol, task: asyncio.Task[None]
    ) -> None:
        self._tasks.discard(task)
        protocol.handshake = None
        if task.cancelled() or task.exception() is not None:
            accepted.close()
            self._connections.remove(protocol)
            if not task.cancelled() and not isinstance(task.exception(), OSError):
                task.result()

    def _pause(self) -> None:
        self._refusals.record(OUT_OF_RESOURCES)
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
        self._loop.remove_reader(self._listener)
        self._resume = self._loop.call_later(
            self._pause_s, self._loop.add_reader, self._listener, self._accept
        )
