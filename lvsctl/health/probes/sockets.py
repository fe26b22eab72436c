"""Sockets of probes: bound, marked, and closed with RST instead of TIME_WAIT."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator

from lvsctl.health.probes.attempt import Attempt, OwnFault, Unreached, WrongAnswer
from lvsctl.health.target import Target
from lvsctl.net import Family, family_of
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import ReasonKind

LARGEST_ANSWER = 1 << 20
"""Bytes; a longer answer fails the probe."""

_CHUNK = 16384
_DATAGRAM = 65535
_ABORT = struct.pack("ii", 1, 0)  # struct linger, socket(7): closing sends RST, no TIME_WAIT
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)
# ICMP errors other than port unreachable (net/ipv4/icmp.c, net/ipv6/icmp.c).
_UNREACHABLE = frozenset({
    errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENONET,
    errno.ENOPROTOOPT, errno.EACCES, errno.EPROTO,
})  # fmt: skip
_CLOSED = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN})


class Connection:
    """A TCP connection to a target."""

    def __init__(self, opened: socket.socket, attempt: Attempt) -> None:
        self._socket = opened
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()
        self.received = 0

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        with _judged(self._attempt):
            await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """Return the next bytes; empty at the end of the stream."""
        with _judged(self._attempt):
            data = await self._loop.sock_recv(self._socket, _CHUNK)
        self.received += len(data)
        if self.received > LARGEST_ANSWER:
            raise WrongAnswer(reasons.TOO_LARGE(self._attempt.where, limit=LARGEST_ANSWER))
        return data


@contextlib.asynccontextmanager
async def connected(attempt: Attempt) -> AsyncIterator[Connection]:
    """Connect to a target over TCP, and reset the connection on exit.

    Raises:
        WrongAnswer: The connection was refused, or the target is unreachable.
        OwnFault: A local error.
    """
    attempt.awaits = "the connection"
    with _opened(attempt.target, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        await _connect(opened, attempt)
        attempt.heard = True
        attempt.awaits = "an answer"
        yield Connection(opened, attempt)


class Exchange:
    """A connected UDP socket: it receives from the target only."""

    def __init__(self, opened: socket.socket, attempt: Attempt) -> None:
        self._socket = opened
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()

    def send(self, datagram: bytes) -> None:
        """Send a datagram.

        Raises:
            OwnFault: A local error, such as a firewall rule or a full queue.
        """
        with _own(reasons.CANNOT_SEND, self._attempt.where):
            self._socket.send(datagram)

    async def receive(self) -> bytes:
        """Return the next datagram."""
        with _judged(self._attempt, reasons.DATAGRAM_REFUSED):
            datagram = await self._loop.sock_recv(self._socket, _DATAGRAM)
        self._attempt.heard = True
        return datagram


@contextlib.contextmanager
def exchange(attempt: Attempt) -> Iterator[Exchange]:
    """Open a socket for datagrams to and from a target.

    Raises:
        OwnFault: A local error.
    """
    with _opened(attempt.target, socket.SOCK_DGRAM) as opened:
        with _own(reasons.CANNOT_PROBE, attempt.where):
            opened.connect((str(attempt.target.address), attempt.target.port))
        yield Exchange(opened, attempt)


@contextlib.contextmanager
def _opened(target: Target, kind: socket.SocketKind) -> Iterator[socket.socket]:
    family = family_of(target.address)
    with _own(reasons.NO_SOCKET):
        opened = socket.socket(
            socket.AF_INET if family is Family.IPV4 else socket.AF_INET6,
            kind | socket.SOCK_NONBLOCK,
        )
    with opened:
        with _own(reasons.NO_MARK_ON_SOCKET, mark=target.mark):
            if target.mark is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, target.mark)
        port = target.source_port or "any"
        with _own(reasons.CANNOT_BIND, source=target.source, port=port):
            _bind(opened, target)
        yield opened


def _bind(opened: socket.socket, target: Target) -> None:
    if target.source is None and target.source_port is None:
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if target.source_port is None:
        # Choose the port at connect(2), per destination: at bind(2) each port would serve one
        # destination only, and probes of dead servers could exhaust them.
        opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    anywhere = "0.0.0.0" if opened.family is socket.AF_INET else "::"  # noqa: S104
    opened.bind((str(target.source or anywhere), target.source_port or 0))


async def _connect(opened: socket.socket, attempt: Attempt) -> None:
    address = (str(attempt.target.address), attempt.target.port)
    # An error from connect(2) itself comes before any packet could be answered: it is local.
    with _own(reasons.CANNOT_PROBE, attempt.where), contextlib.suppress(BlockingIOError):
        opened.connect(address)
    with _judged(attempt):
        await asyncio.get_running_loop().sock_connect(opened, address)


@contextlib.contextmanager
def _own(kind: ReasonKind, subject: str = "", **parameters: object) -> Iterator[None]:
    """Treat OS errors as local faults."""
    try:
        yield
    except OSError as error:
        raise OwnFault(kind(subject, **parameters, error=_words(error))) from error


@contextlib.contextmanager
def _judged(attempt: Attempt, refused: ReasonKind = reasons.REFUSED) -> Iterator[None]:
    """Attribute OS errors to the server, unless they can only be local."""
    try:
        yield
    except ConnectionRefusedError as error:
        raise WrongAnswer(refused(attempt.where)) from error
    except OSError as error:
        if error.errno in _CLOSED:
            reset = reasons.RESET(attempt.where, awaited=attempt.awaits)
            raise WrongAnswer(reset) from error
        if error.errno in _UNREACHABLE:
            raise Unreached(reasons.UNREACHABLE(attempt.where, error=_words(error))) from error
        raise OwnFault(reasons.CANNOT_PROBE(attempt.where, error=_words(error))) from error


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
