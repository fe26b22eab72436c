"""Reads the kernel's IPVS connections, which no netlink command lists."""

from collections.abc import Iterator
from pathlib import Path

from lvsctl.errors import KernelError
from lvsctl.ipvs.connections import Connection, parse_connections

PATH = Path("/proc/thread-self/net/ip_vs_conn")
"""Of the network namespace of the thread that opens it."""


def read_connections() -> Iterator[Connection]:
    """Yield all connections of this network namespace, as they are read.

    A table that changes meanwhile may show one twice or leave one out.

    Raises:
        KernelError: The kernel has no such table.
        MalformedMessage: A line does not describe a connection.
    """
    try:
        with PATH.open() as file:
            yield from parse_connections(file)
    except OSError as error:
        raise KernelError(f"{PATH}: {error.strerror}; is the module ip_vs loaded?") from error
