"""The open connections, and which one to close when there are too many."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Protocol

from api.server.limits import Budget

Evicted = Callable[[str], None]


class Connection(Protocol):
    """A connection that can be evicted."""

    @property
    def source(self) -> str:
        """The client, see :func:`source_of`."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        ...

    def abort(self) -> None:
        """Close the connection; it is removed once its descriptor is free."""
        ...

    def enforce_deadlines(self, now_s: float) -> None:
        """Close the connection if the client has taken too long."""
        ...


class Connections:
    """Keeps connections within a budget by closing old ones for new ones; none is refused.

    A new connection is anonymous until its first request with a valid credential. The anonymous
    connection to close is the one without a request for longest, of the source with the most of
    them: a source can lock out only itself, and a thousand agents may share an address. An
    authenticated connection is closed only if it is idle, and never for an anonymous one.

    Args:
        budget: Maximum numbers of connections.
        evicted: Called with the reason when a connection is closed.
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
        """Number of closed connections whose descriptors are not free yet."""
        return len(self._leaving)

    def add(self, connection: Connection) -> None:
        """Add a new connection, closing another if necessary."""
        if sum(map(len, self._anonymous.values())) >= self._budget.anonymous:
            source = max(self._anonymous, key=lambda source: len(self._anonymous[source]))
            self._evict(next(iter(self._anonymous[source])), "too many anonymous connections")
        self._anonymous.setdefault(connection.source, {})[connection] = None

    def requested(self, connection: Connection) -> None:
        """Record that a connection received a request, so that others are closed before it."""
        group = self._group(connection)
        if connection in group:
            group[connection] = group.pop(connection)

    def authenticated(self, connection: Connection) -> None:
        """Record that a connection sent a valid credential.

        It stays anonymous if there are too many authenticated connections and all are busy.
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
        """Remove a connection whose descriptor is free."""
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
    """Return the source of a connection: an IPv4 address, or the /64 of an IPv6 address.

    A host with one IPv6 address can use its whole /64. All UNIX-socket clients are one source.
    """
    if not isinstance(peer, tuple):
        return "unix"
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
