"""A connection of the server, with a client and a clock that the test holds."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from api.server.connections import Connections
from api.server.limits import Budget
from api.server.pieces import InPieces
from api.server.protocol import HttpProtocol
from api.server.refusals import RefusalLog
from tests.support.transports import FakeTransport

SIXTEEN = Budget(anonymous=16, authenticated=16)


@dataclass
class App:
    """Answers with the target of each request, when the test lets it.

    Attributes:
        may_answer: Set while it may.
        reads_bodies: Whether it does before it answers.
        scopes: Of the requests that came.
        bodies: Of those that came whole.
        gone: How many were given up.
        answer: What it answers in place of the target.
    """

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    reads_bodies: bool = True
    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: int = 0
    answer: bytes | None = None

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self.reads_bodies and not await self._read(receive):
            return
        if not await self._may_answer(receive):
            return
        answer = scope["path"].encode() if self.answer is None else self.answer
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    async def _may_answer(self, receive: Receive) -> bool:
        waiting = asyncio.ensure_future(self.may_answer.wait())
        if not self.reads_bodies:
            return await waiting
        hanging_up = asyncio.ensure_future(receive())
        await asyncio.wait({waiting, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        self.gone += hanging_up.done()
        waiting.cancel()
        hanging_up.cancel()
        return self.may_answer.is_set()

    async def _read(self, receive: Receive) -> bool:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return False
            body += message["body"]
            if not message["more_body"]:
                self.bodies.append(body)
                return True


class Served:
    """A connection to an app.

    Attributes:
        transport: The client's end.
        protocol: The server's.
        connections: All that there are.
        refusals: What was counted.
    """

    def __init__(
        self, app: ASGIApp, connections: Connections | None = None, source: str = "192.0.2.1"
    ) -> None:
        self.loop = asyncio.get_running_loop()
        config = uvicorn.Config(
            InPieces(app), http=HttpProtocol, ws="none", lifespan="off", log_config=None
        )
        config.load()
        self.refusals = RefusalLog(self.loop.time)
        self.connections = connections or Connections(SIXTEEN, self.refusals.record)
        self.protocol = HttpProtocol(config, ServerState(), self.connections, self.refusals, source)
        self.transport = FakeTransport(self.protocol)
        self.connections.add(self.protocol)
        self.protocol.connection_made(self.transport)

    @property
    def is_open(self) -> bool:
        """Whether the connection is."""
        return not self.transport.closed

    @property
    def statuses(self) -> list[int]:
        """Of all answers."""
        heads = bytes(self.transport.written).split(b"HTTP/1.1 ")[1:]
        return [int(head[:3]) for head in heads]

    @property
    def text(self) -> str:
        """All that was answered."""
        return self.transport.written.decode("latin-1")

    async def send(self, data: bytes, size: int = 262144) -> int:
        """Send data in packets of a size; return how much the connection took, open and reading."""
        sent = 0
        while sent < len(data) and self.is_open and not self.transport.ended:
            self.protocol.data_received(data[sent : sent + size])
            sent += size
            await asyncio.sleep(0)
        await settle()
        return min(sent, len(data))

    async def pass_time(self, seconds: float) -> None:
        """Have the clock go on, with the server looking at it each second."""
        until = self.loop.time() + seconds
        while self.loop.time() < until:
            await asyncio.sleep(min(1.0, until - self.loop.time()))
            for connection in self.connections:
                connection.enforce_deadlines(self.loop.time())
        await settle()


async def settle() -> None:
    """Let everything go on that need not wait."""
    for _ in range(100):
        await asyncio.sleep(0)


def chunks(body: bytes, size: int, extension: bytes = b"") -> Iterator[bytes]:
    """Cut a body into chunks, without the last one."""
    for begin in range(0, len(body), size):
        part = body[begin : begin + size]
        yield b"%x%b\r\n%b\r\n" % (len(part), extension, part)
