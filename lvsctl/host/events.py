"""Word from the kernel that something on the host changed."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

_BITS = (
    0,  # RTNLGRP_LINK
    4,  # RTNLGRP_IPV4_IFADDR
    6,  # RTNLGRP_IPV4_ROUTE
    7,  # RTNLGRP_IPV4_RULE
    8,  # RTNLGRP_IPV6_IFADDR
    10,  # RTNLGRP_IPV6_ROUTE
    18,  # RTNLGRP_IPV6_RULE
    23,  # RTNLGRP_IPV4_NETCONF, which announces changed sysctls
)
_GROUPS = sum(1 << bit for bit in _BITS)  # rtnetlink(7); sockaddr_nl.nl_groups
_CHUNK = 65536


@contextlib.contextmanager
def host_events(on_change: Callable[[], None]) -> Iterator[None]:
    """Call ``on_change`` on the running event loop whenever something changes.

    That is links, addresses, routes, rules and sysctls. The kernel has no word of fou ports.

    What changed is not told: whoever is called looks for himself. Calls may be too many and,
    where the kernel lost messages, one for several changes.

    Raises:
        OSError: The kernel does not let this process listen.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as listener:
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        listener.bind((0, _GROUPS))

        def drain() -> None:
            # An overrun of the receive buffer (ENOBUFS) is news too.
            with contextlib.suppress(OSError):
                while listener.recv(_CHUNK):
                    pass
            on_change()

        loop = asyncio.get_running_loop()
        loop.add_reader(listener, drain)
        try:
            yield
        finally:
            loop.remove_reader(listener)
