"""The kernel's IPVS connections, as /proc/net/ip_vs_conn lists them. Pure.

Source: ``ip_vs_conn_seq_show`` in ``net/netfilter/ipvs/ip_vs_conn.c`` of Linux 6.1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lvsctl.errors import MalformedMessage
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Connection:
    """An entry of the connection table.

    Attributes:
        protocol: In lower case; ``ip`` for the template of a firewall mark.
        client: Where it comes from; a network's address in a template of persistence.
        client_port: 0 in a template.
        vip: What it was made to; the firewall mark in a template of one.
        vip_port: Its port.
        server: The real server that it goes to.
        server_port: Its port in the table.
        state: Such as ``ESTABLISHED``; ``NONE`` in a template.
        expires_s: When the kernel forgets it, if nothing comes, in seconds.
    """

    protocol: str
    client: IPAddress
    client_port: int
    vip: IPAddress
    vip_port: int
    server: IPAddress
    server_port: int
    state: str
    expires_s: int

    @property
    def is_template(self) -> bool:
        """Whether it only keeps a client with its server."""
        return self.client_port == 0


def parse_connections(lines: Iterable[str]) -> Iterator[Connection]:
    """Parse the lines of the file, the first of which is a heading."""
    following = iter(lines)
    next(following, None)
    for line in following:
        try:
            yield _parse(line)
        except ValueError as error:
            raise MalformedMessage(f"ip_vs_conn: {line.rstrip()!r}: {error}") from error


def _parse(line: str) -> Connection:
    protocol, client, client_port, vip, vip_port, server, server_port, state, expires, *_ = (
        line.split()
    )
    return Connection(
        protocol.lower(),
        _address(client),
        int(client_port, 16),
        _address(vip),
        int(vip_port, 16),
        _address(server),
        int(server_port, 16),
        state,
        int(expires),
    )


def _address(text: str) -> IPAddress:
    return IPv6Address(text) if ":" in text else IPv4Address(int(text, 16))
