"""The application on a real server: says who answered whom, over HTTP, a TCP stream and UDP."""

import asyncio
import contextlib
import json
import os
import re
import select
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from deploy.lab.errors import LabError
from deploy.lab.node import Node
from deploy.lab.process import NodeProcess

HTTP_PORT = 80
ECHO_PORT = 7
# Binding an address before the host has it: linux/in.h and linux/in6.h.
_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_BLOCK = bytes(65536)
_READY_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Application:
    """An application server.

    - HTTP, with connections kept alive: `GET /` answers with `{"server", "client", "port"}`, the
      peer's address and port among them; `GET /bytes/N` with N bytes; a POST with the number of
      bytes that it had as `{"server", "received"}`.
    - A stream at port 7: each line comes back behind the server's name.
    - UDP at port 7: each datagram comes back behind the server's name.

    Attributes:
        name: The server's, in its answers.
        http_ports: Of all its addresses.
        udp_addresses: The VIPs; an answer must come from the address that was asked, and a
            wildcard socket would take the server's own. They need not be there yet.
    """

    name: str
    http_ports: tuple[int, ...] = (HTTP_PORT,)
    udp_addresses: tuple[str, ...] = ()

    async def serve(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled; `on_ready` is called when everything listens."""
        async with contextlib.AsyncExitStack() as stack:
            for port in self.http_ports:
                await stack.enter_async_context(await asyncio.start_server(self._http, port=port))
            await stack.enter_async_context(await asyncio.start_server(self._echo, port=ECHO_PORT))
            for address in self.udp_addresses:
                transport = await self._open_datagram_socket(address)
                stack.callback(transport.close)
            on_ready()
            await asyncio.Event().wait()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                received = await _read_body(reader, head)
                path = head.split(" ")[1]
                if path.startswith("/bytes/"):
                    await _send_bytes(writer, int(path.removeprefix("/bytes/")))
                elif head.startswith("POST "):
                    _send_json(writer, {"server": self.name, "received": received})
                else:
                    client, port = writer.get_extra_info("peername")[:2]
                    _send_json(writer, {"server": self.name, "client": client, "port": port})
                await writer.drain()
        writer.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(f"{self.name} ".encode() + line)
                await writer.drain()
        writer.close()

    async def _open_datagram_socket(self, address: str) -> asyncio.DatagramTransport:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        endpoint = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            endpoint.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            endpoint.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        endpoint.settimeout(0)
        endpoint.bind((address, ECHO_PORT))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _DatagramEcho(self.name), sock=endpoint
        )
        return transport


class _DatagramEcho(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._transport.sendto(f"{self._name} ".encode() + data, address)


def start_application(node: Node, application: Application) -> NodeProcess:
    """Run an application server on a node, and return when it listens.

    Raises:
        LabError: It did not come that far; its log is in the text.
    """
    read_end, write_end = os.pipe()

    def serve() -> None:
        os.close(read_end)
        asyncio.run(application.serve(lambda: os.close(write_end)))

    process = node.fork(serve, "application")
    os.close(write_end)
    with open(read_end, "rb") as closed_when_ready:  # noqa: PTH123 - a descriptor
        select.select([closed_when_ready], [], [], _READY_WITHIN_S)
    if not process.is_alive():
        raise LabError(f"{process.name} ended at once; its log:\n{process.tail()}")
    return process


async def _read_body(reader: asyncio.StreamReader, head: str) -> int:
    """Read and count what the head announces."""
    announced = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
    length = int(announced[1]) if announced else 0
    left = length
    while left:
        block = await reader.read(min(left, len(_BLOCK)))
        if not block:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(block)
    return length


async def _send_bytes(writer: asyncio.StreamWriter, count: int) -> None:
    writer.write(_head(count))
    for sent in range(0, count, len(_BLOCK)):
        writer.write(_BLOCK[: count - sent])
        await writer.drain()


def _send_json(writer: asyncio.StreamWriter, answer: Mapping[str, object]) -> None:
    body = json.dumps(answer).encode()
    writer.write(_head(len(body)) + body)


def _head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
