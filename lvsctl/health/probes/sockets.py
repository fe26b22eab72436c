"""Sockets of probes: bound, marked, and closed without a trace."""

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

LARGEST_ANSWER = 1 << 20
"""Bytes; whoever sends more has not answered a health check."""

_CHUNK = 16384
_DATAGRAM = 65535
_ABORT = struct.pack("ii", 1, 0)  # struct linger, socket(7): closing sends RST, no TIME_WAIT
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)
# What the kernel makes of ICMP errors, but for a refused port (net/ipv4/icmp.c, net/ipv6/icmp.c).
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
        """Return what came next, nothing at the end."""
        with _judged(self._attempt):
            data = await self._loop.sock_recv(self._socket, _CHUNK)
        self.received += len(data)
        if self.received > LARGEST_ANSWER:
            raise WrongAnswer(
                f"{self._attempt.where}: the answer is too large, more than {LARGEST_ANSWER} bytes"
            )
        return data


@contextlib.asynccontextmanager
async def connected(attempt: Attempt) -> AsyncIterator[Connection]:
    """Connect to a target over TCP; abort the connection at the end.

    Raises:
        WrongAnswer: It refused, or there is nobody.
        OwnFault: This host could not try.
    """
    attempt.awaits = "the connection"
    with _opened(attempt.target, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        await _connect(opened, attempt)
        attempt.heard = True
        attempt.awaits = "an answer"
        yield Connection(opened, attempt)


class Exchange:
    """Datagrams to a target and from it alone."""

    def __init__(self, opened: socket.socket, attempt: Attempt) -> None:
        self._socket = opened
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()

    def send(self, datagram: bytes) -> None:
        """Send one.

        Raises:
            OwnFault: This host's firewall or its queues refuse it.
        """
        with _own(f"a datagram to {self._attempt.where} cannot be sent"):
            self._socket.send(datagram)

    async def receive(self) -> bytes:
        """Return the next one."""
        with _judged(self._attempt, "refused the datagram"):
            datagram = await self._loop.sock_recv(self._socket, _DATAGRAM)
        self._attempt.heard = True
        return datagram


@contextlib.contextmanager
def exchange(attempt: Attempt) -> Iterator[Exchange]:
    """Open a socket for datagrams to and from a target.

    Raises:
        OwnFault: This host could not.
    """
    with _opened(attempt.target, socket.SOCK_DGRAM) as opened:
        with _own(f"{attempt.where} cannot be asked"):
            opened.connect((str(attempt.target.address), attempt.target.port))
        yield Exchange(opened, attempt)


@contextlib.contextmanager
def _opened(target: Target, kind: socket.SocketKind) -> Iterator[socket.socket]:
    family = family_of(target.address)
    with _own("no socket for a probe"):
        opened = socket.socket(
            socket.AF_INET if family is Family.IPV4 else socket.AF_INET6,
            kind | socket.SOCK_NONBLOCK,
        )
    with opened:
        with _own(f"a probe cannot have mark {target.mark}"):
            if target.mark is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, target.mark)
        with _own(f"a probe cannot be bound to {target.source} port {target.source_port or 'any'}"):
            _bind(opened, target)
        yield opened


def _bind(opened: socket.socket, target: Target) -> None:
    if target.source is None and target.source_port is None:
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if target.source_port is None:
        # The port is chosen when it is known to whom: else a dead server's use up all of them.
        opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    anywhere = "0.0.0.0" if opened.family is socket.AF_INET else "::"  # noqa: S104
    opened.bind((str(target.source or anywhere), target.source_port or 0))


async def _connect(opened: socket.socket, attempt: Attempt) -> None:
    address = (str(attempt.target.address), attempt.target.port)
    # What fails at once, before any packet could be answered, fails on this host.
    with _own(f"{attempt.where} cannot be asked"), contextlib.suppress(BlockingIOError):
        opened.connect(address)
    with _judged(attempt):
        await asyncio.get_running_loop().sock_connect(opened, address)


@contextlib.contextmanager
def _own(what: str) -> Iterator[None]:
    """Take errors for this host's own."""
    try:
        yield
    except OSError as error:
        raise OwnFault(f"{what}: {_words(error)}") from error


@contextlib.contextmanager
def _judged(attempt: Attempt, refused: str = "refused the connection") -> Iterator[None]:
    """Take errors for the server's, but where they can only be this host's."""
    try:
        yield
    except ConnectionRefusedError as error:
        raise WrongAnswer(f"{attempt.where} {refused}") from error
    except OSError as error:
        if error.errno in _CLOSED:
            reset = f"{attempt.where} reset the connection, waiting for {attempt.awaits}"
            raise WrongAnswer(reset) from error
        if error.errno in _UNREACHABLE:
            raise Unreached(f"{attempt.where} cannot be reached: {_words(error)}") from error
        raise OwnFault(f"{attempt.where} cannot be asked: {_words(error)}") from error


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
