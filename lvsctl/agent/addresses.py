"""Finding out the real server's own address (RIP)."""

import asyncio
import contextlib
import socket
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from lvsctl.errors import ConfigurationError
from lvsctl.net import IPAddress

_PORTS = {"http": 80, "https": 443}
_RESOLVE_TIMEOUT_S = 5.0


def real_server_address(
    configured: IPAddress | None,
    last: IPAddress | None,
    director: str,
    present: Collection[IPAddress],
) -> IPAddress:
    """Return the address where directors send tunnelled packets.

    Args:
        configured: From ``--address``; None if not given.
        last: That of the last run, for a start while the network is not up.
        director: URL of the director that sends packets to it.
        present: Addresses of this host, without the VIPs that the agent has put there.

    Raises:
        ConfigurationError: The configured one is not this host's, or none can be determined.
    """
    if configured is not None:
        if configured not in present:
            raise ConfigurationError(
                f"--address {configured} is not an address of this host; it has "
                + ", ".join(sorted(str(address) for address in present if not address.is_loopback))
            )
        return configured
    source = source_address(director)
    # A director's name that resolves to a VIP, by mistake or malice, must not yield the VIP.
    if source is not None and source in present and not source.is_loopback:
        return source
    if last is not None and last in present:
        return last
    raise ConfigurationError(
        f"cannot determine the real server's address: there is no route to {director}, or it is "
        "this host itself; give --address"
    )


async def resolve_host(host: str) -> frozenset[IPAddress]:
    """Resolve a host name or address; return nothing if that fails."""
    found: frozenset[IPAddress] = frozenset()
    with contextlib.suppress(OSError, UnicodeError, ValueError, TimeoutError):
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            entries = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = frozenset(ip_address(str(where[0]).partition("%")[0]) for *_, where in entries)
    return found


def source_address(director: str) -> IPAddress | None:
    """Return the source address towards a director, None if there is no route."""
    with contextlib.suppress(OSError, ValueError):
        parts = urlsplit(director)
        if not parts.hostname:
            return None
        port = parts.port or _PORTS.get(parts.scheme, 0)
        for family, kind, _, _, where in socket.getaddrinfo(
            parts.hostname, port, type=socket.SOCK_DGRAM
        ):
            with contextlib.suppress(OSError), socket.socket(family, kind) as probe:
                # A datagram socket sends nothing when it connects; it only looks up the route.
                probe.connect(where)
                return ip_address(probe.getsockname()[0])
    return None
