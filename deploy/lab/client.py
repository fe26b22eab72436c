"""What a client does to a VIP: requests with fresh connections, transfers, datagrams, streams."""

import contextlib
import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from deploy.lab.application import ECHO_PORT, HTTP_PORT
from deploy.lab.errors import LabError
from deploy.lab.node import Node

_TIMEOUT_S = 3.0
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request over a connection of its own went.

    Attributes:
        at_s: When it began, as time.time().
        took_s: Until the answer was complete, or it failed.
        server: Who answered; None if nobody did.
        client: The address that the application saw.
        port: The client's port that the application saw.
        error: What went wrong; None if nothing did.
    """

    at_s: float
    took_s: float
    server: str | None = None
    client: str | None = None
    port: int | None = None
    error: str | None = None


def request(
    node: Node,
    address: str,
    port: int = HTTP_PORT,
    *,
    source: str = "",
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """Ask once, over a new connection, from a given address of the node or from any."""
    at_s, began = time.time(), time.perf_counter()
    connection = http.client.HTTPConnection(
        address, port, timeout=timeout_s, source_address=(source, 0)
    )
    try:
        with node.enter():
            connection.request("GET", "/")
            said = json.loads(connection.getresponse().read())
        return Answer(at_s, time.perf_counter() - began, **said)
    except (OSError, http.client.HTTPException) as error:
        return Answer(at_s, time.perf_counter() - began, error=repr(error))
    finally:
        connection.close()


def requests(
    node: Node,
    address: str,
    port: int = HTTP_PORT,
    count: int = 1,
    *,
    timeout_s: float = _TIMEOUT_S,
) -> list[Answer]:
    """Ask again and again, one after the other, each time over a new connection."""
    return [request(node, address, port, timeout_s=timeout_s) for _ in range(count)]


def served_by(answers: Iterable[Answer]) -> Counter[str]:
    """Count who answered.

    Raises:
        LabError: A request failed.
    """
    answers = list(answers)
    errors = Counter(answer.error for answer in answers if answer.error)
    if errors:
        raise LabError(f"of {len(answers)} requests {errors.total()} failed: {dict(errors)}")
    return Counter(answer.server for answer in answers if answer.server is not None)


def upload(node: Node, address: str, size: int, *, within_s: float = 30) -> int:
    """POST so many bytes; return how many the server says it had."""
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=within_s)
    with node.enter(), contextlib.closing(connection):
        connection.request("POST", "/", body=bytes(size))
        return int(json.loads(connection.getresponse().read())["received"])


def download(node: Node, address: str, size: int, *, within_s: float = 30) -> int:
    """GET so many bytes; return how many came."""
    connection = http.client.HTTPConnection(address, HTTP_PORT, timeout=within_s)
    with node.enter(), contextlib.closing(connection):
        connection.request("GET", f"/bytes/{size}")
        return len(connection.getresponse().read())


def datagrams(
    node: Node, address: str, count: int = 1, *, size: int = 5, timeout_s: float = _TIMEOUT_S
) -> list[Answer]:
    """Send datagrams to the UDP echo, each from a socket of its own, one after the other.

    No two come from one port: the director would send the second after the first.
    """
    with contextlib.ExitStack() as stack:
        with node.enter():
            sockets = [_datagram_socket(stack, address) for _ in range(count)]
        return [_datagram(endpoint, address, size, timeout_s) for endpoint in sockets]


def _datagram_socket(stack: contextlib.ExitStack, address: str) -> socket.socket:
    endpoint = stack.enter_context(socket.socket(_family(address), socket.SOCK_DGRAM))
    endpoint.bind(("", 0))
    return endpoint


def _datagram(endpoint: socket.socket, address: str, size: int, timeout_s: float) -> Answer:
    at_s, began = time.time(), time.perf_counter()
    endpoint.settimeout(timeout_s)
    try:
        endpoint.connect((address, ECHO_PORT))
        endpoint.send(b"x" * size)
        server, _, echo = endpoint.recv(size + _LONGEST_NAME).decode().partition(" ")
        if len(echo) != size:
            return Answer(at_s, time.perf_counter() - began, error=f"{len(echo)} bytes back")
        return Answer(at_s, time.perf_counter() - began, server)
    except OSError as error:
        return Answer(at_s, time.perf_counter() - began, error=repr(error))


class Stream:
    """A connection that stays open. Leaving the context closes it.

    Attributes:
        server: Who is at its other end.
    """

    def __init__(
        self, node: Node, address: str, *, source: str = "", timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._name = f"the stream from {node.name} to {address}"
        with node.enter():
            self._socket = socket.create_connection((address, ECHO_PORT), timeout_s, (source, 0))
        self._lines = self._socket.makefile("r")
        self.server = self._exchange()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._socket.close()

    def check(self) -> None:
        """Say something and hear it from the same server as ever.

        Raises:
            LabError: The connection is cut, stalled, or has another server at its end.
        """
        server = self._exchange()
        if server != self.server:
            raise LabError(f"{self._name} was answered by {server}, it began with {self.server}")

    def _exchange(self) -> str:
        try:
            self._socket.sendall(b"hello\n")
            line = self._lines.readline()
        except OSError as error:
            raise LabError(f"{self._name} is broken: {error}") from error
        if not line.endswith(" hello\n"):
            raise LabError(f"{self._name} ended; at last came {line!r}")
        return line.removesuffix(" hello\n")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
