"""Which address a real server is known by."""

import asyncio
import contextlib
import socket
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from lvsctl.errors import ConfigurationError
from lvsctl.net import IPAddress

_PORTS = {"http": 80, "https": 443}
_RESOLVE_WITHIN_S = 5.0


def real_server_address(
    given: IPAddress | None,
    remembered: IPAddress | None,
    director: str,
    own: Collection[IPAddress],
) -> IPAddress:
    """Return the address where directors send tunnelled packets.

    Args:
        given: What a person said; None for nothing.
        remembered: That of the last run, for a start while the network is not up.
        director: URL of the director that it should be seen from.
        own: Addresses of this host, without the VIPs that the agent has put there.

    Raises:
        ConfigurationError: The given one is not this host's, or none can be found out.
    """
    if given is not None:
        if given not in own:
            raise ConfigurationError(
                f"--address {given} is no address of this host; it has "
                + ", ".join(sorted(str(address) for address in own if not address.is_loopback))
            )
        return given
    source = source_address(director)
    # Where the name leads to a VIP, by an error or a lie, that is not where packets should go.
    if source is not None and source in own and not source.is_loopback:
        return source
    if remembered is not None and remembered in own:
        return remembered
    raise ConfigurationError(
        f"the real server's address cannot be found out: there is no route to {director}, or it "
        "is this host itself; give --address"
    )


async def addresses_of(host: str) -> frozenset[IPAddress]:
    """Return the addresses of a host by its name or address; none where nobody knows them."""
    found: frozenset[IPAddress] = frozenset()
    with contextlib.suppress(OSError, UnicodeError, ValueError, TimeoutError):
        async with asyncio.timeout(_RESOLVE_WITHIN_S):
            loop = asyncio.get_running_loop()
            entries = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = frozenset(ip_address(str(where[0]).partition("%")[0]) for *_, where in entries)
    return found


def source_address(director: str) -> IPAddress | None:
    """Return the address that packets to a director come from, None where no route leads there."""
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
