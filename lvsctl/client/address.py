"""A director's address: the URL of its REST API, or its UNIX socket on this host."""

import os
from collections.abc import Sequence

SCHEME = "unix:"
LOCAL_SOCKETS: Sequence[str] = ("/run/lvsctl/director.sock", "/var/lib/lvsctl/director.sock")
"""Default sockets of a director: under systemd, and without."""
LOCAL_ADDRESS = SCHEME + LOCAL_SOCKETS[0]


def local_address() -> str | None:
    """Return the address of the director on this host; None if its socket is not accessible."""
    return next((SCHEME + path for path in LOCAL_SOCKETS if os.access(path, os.F_OK)), None)


def socket_of(address: str) -> str | None:
    """Return the path in ``unix:PATH``; None for any other address."""
    return address.removeprefix(SCHEME) if address.startswith(SCHEME) else None
