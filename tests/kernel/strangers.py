"""Clients without a token that take what they can get of a director."""

import asyncio
import contextlib
from collections.abc import Iterator

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"PUT /v1/farm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * 65536

ENDLESS = (
    (HEAD + b"A: ", LONG),
    (HEAD, b"A: 1\r\n" * 10_000),
    (CHUNKED + b"1\r\nx\r\n0\r\n", b"A: 1\r\n" * 10_000),
    (CHUNKED + b"1\r\nx\r\n0\r\nA: ", LONG),
    (CHUNKED + b"1;a=", LONG),
    (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000),
)
"""What each begins with, and goes on with."""


async def attack(address: str, port: int, idle: int) -> None:
    """Keep connections open that ask nothing, and send requests that do not end, until cancelled.

    Args:
        address: Of the director.
        port: Its port.
        idle: How many connections ask nothing.
    """
    async with asyncio.TaskGroup() as group:
        for _ in range(idle):
            group.create_task(_again_and_again(address, port, b"", b""))
        for before, endless in ENDLESS:
            group.create_task(_again_and_again(address, port, before, endless))


async def _again_and_again(address: str, port: int, before: bytes, endless: bytes) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(before)
                for part in _forever(endless):
                    writer.write(part)
                    await writer.drain()
                await reader.read()
            finally:
                writer.close()


def _forever(part: bytes) -> Iterator[bytes]:
    while part:
        yield part
