"""Servers that answer probes correctly, and wrongly in various ways; by default on loopback."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from ipaddress import ip_address

from lvsctl.health.target import Target

LOOPBACK = ip_address("127.0.0.1")
ABORT = struct.pack("ii", 1, 0)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def target(port: int, address: str = "127.0.0.1") -> Target:
    """Return a target on loopback."""
    return Target(ip_address(address), port)


@contextlib.asynccontextmanager
async def serving(
    answer: Answer,
    tls: ssl.SSLContext | None = None,
    address: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[int]:
    """Serve TCP; yield the port, any for 0.

    At the end every connection is closed, and every answer over.
    """
    under_way: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(task := asyncio.current_task())  # type: ignore[arg-type]
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the probe has heard enough
        finally:
            writer.transport.abort()
            under_way.discard(task)

    server = await asyncio.start_server(one, address, port, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """Read an HTTP request's header."""
    return await reader.readuntil(b"\r\n\r\n")


def saying(*parts: bytes) -> Answer:
    """Answer any HTTP request with these bytes, then close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return answer


async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection when data arrives."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection when data arrives."""
    await reader.read(65536)
    writer.close()
    await writer.wait_closed()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a valid answer a byte at a time, without ever finishing it."""
    await reader.read(1)
    for byte in b"HTTP/1.1 200 OK\r\nX-Drip: ":
        writer.write(bytes([byte]))
        await writer.drain()
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


async def drip_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a TLS handshake record a byte at a time, without ever finishing it."""
    await reader.read(1)
    writer.write(b"\x16\x03\x03\x40\x00")
    while True:
        writer.write(b"\x02")
        await writer.drain()
        await asyncio.sleep(0.005)


async def flood_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send HelloRequests for ever: each is valid, and ignored."""
    await reader.read(1)
    while True:
        writer.write(b"\x16\x03\x03\x40\x00" + bytes(0x4000))
        await writer.drain()


@contextlib.contextmanager
def refusing(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[int]:
    """Yield a port at which nobody listens."""
    with socket.socket(socket.AF_INET, kind) as kept:
        kept.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_DGRAM:
            kept.connect(("127.0.0.1", 9))  # hears nobody else: others are refused
        yield kept.getsockname()[1]


@contextlib.contextmanager
def full(address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port whose listener neither accepts nor refuses connections."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        waiting = stack.enter_context(socket.socket())
        waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def answering(
    answer: Callable[[bytes], list[bytes]], address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Answer each datagram with others; yield the port, any for 0."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
            for each in answer(data):
                self.transport.sendto(each, source)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, (address, port))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
