"""Word from the kernel that something on the host changed."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

# Groups of rtnetlink(7), as bits of sockaddr_nl.nl_groups: RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
# RTNLGRP_IPV6_IFADDR and RTNLGRP_IPV4_NETCONF, which tells of changed sysctls.
_GROUPS = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 23
_CHUNK = 65536


@contextlib.contextmanager
def host_events(on_change: Callable[[], None]) -> Iterator[None]:
    """Call ``on_change`` on the running event loop whenever links, addresses or sysctls change.

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
