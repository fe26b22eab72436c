"""All open connections, and which of them has to go when there are too many."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Protocol

from api.server.limits import Budget

Evicted = Callable[[str], None]


class Connection(Protocol):
    """One connection, as far as the others are concerned."""

    @property
    def source(self) -> str:
        """Who is at the other end, as :func:`source_of` has it."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the client to ask something."""
        ...

    def abort(self) -> None:
        """Close it now; it is removed once its descriptor is free."""
        ...

    def enforce_deadlines(self, now_s: float) -> None:
        """Close it if the client has taken too long."""
        ...


class Connections:
    """Keeps connections within a budget by closing some for newer ones; none is refused.

    A new connection is anonymous until its first request with a valid credential. An anonymous one
    that has to go is the one without a request for longest, of the source that has most of them:
    a source can shut out nobody but itself, and a thousand agents may share an address. An
    authenticated one only goes if it is idle, and never for an anonymous one.

    Args:
        budget: How many there may be.
        evicted: Is told why a connection was closed.
    """

    def __init__(self, budget: Budget, evicted: Evicted) -> None:
        self._budget = budget
        self._evicted = evicted
        self._anonymous: dict[str, dict[Connection, None]] = {}
        self._authenticated: dict[Connection, None] = {}
        self._leaving: set[Connection] = set()

    def __iter__(self) -> Iterator[Connection]:
        for connections in (*self._anonymous.values(), self._authenticated, self._leaving):
            yield from tuple(connections)

    @property
    def leaving(self) -> int:
        """How many were closed whose descriptors are not free yet."""
        return len(self._leaving)

    def add(self, connection: Connection) -> None:
        """Take in a new connection."""
        if sum(map(len, self._anonymous.values())) >= self._budget.anonymous:
            source = max(self._anonymous, key=lambda source: len(self._anonymous[source]))
            self._evict(next(iter(self._anonymous[source])), "too many anonymous connections")
        self._anonymous.setdefault(connection.source, {})[connection] = None

    def requested(self, connection: Connection) -> None:
        """Note that a request has come, which makes a connection the last to go."""
        group = self._group(connection)
        if connection in group:
            group[connection] = group.pop(connection)

    def authenticated(self, connection: Connection) -> None:
        """Note that a valid credential has come.

        Where all authenticated connections are busy it stays anonymous.
        """
        if connection in self._authenticated or connection not in self._group(connection):
            return
        if len(self._authenticated) >= self._budget.authenticated:
            idle = next((each for each in self._authenticated if each.is_idle), None)
            if idle is None:
                self._evicted("all authenticated connections are busy")
                return
            self._evict(idle, "too many authenticated connections")
        self._forget(connection)
        self._authenticated[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection whose descriptor is free."""
        self._leaving.discard(connection)
        self._forget(connection)

    def _evict(self, connection: Connection, reason: str) -> None:
        self._forget(connection)
        self._leaving.add(connection)
        self._evicted(reason)
        connection.abort()

    def _group(self, connection: Connection) -> dict[Connection, None]:
        if connection in self._authenticated:
            return self._authenticated
        return self._anonymous.get(connection.source, {})

    def _forget(self, connection: Connection) -> None:
        group = self._group(connection)
        group.pop(connection, None)
        if not group and group is not self._authenticated:
            self._anonymous.pop(connection.source, None)


def source_of(peer: object) -> str:
    """Return who is at the other end of a socket: an address, or an IPv6 network of 64 bits.

    Whoever has one IPv6 address has all of its network. Peers at a UNIX socket are one source.
    """
    if not isinstance(peer, tuple):
        return "unix"
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
