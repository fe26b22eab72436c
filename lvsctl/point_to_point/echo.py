"""ICMP echo: whether an address answers, and the round-trip time."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Collection, Iterator

from lvsctl.net import Family, IPAddress, family_of, internet_checksum

_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence (RFC 792, RFC 4443)
_REQUEST = {Family.IPV4: 8, Family.IPV6: 128}
_REPLY = {Family.IPV4: 0, Family.IPV6: 129}
_PROTOCOL = {Family.IPV4: socket.IPPROTO_ICMP, Family.IPV6: socket.IPPROTO_ICMPV6}
_TOKEN_BYTES = 16
_PADDING = bytes(40)
"""With the token and header, 64 bytes, as ping(8) sends."""
_MAX_PACKET_BYTES = 2048
_TRANSIENT = frozenset(
    {errno.ENODEV, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL,
     errno.EINVAL, errno.ENOBUFS, errno.ECONNREFUSED, errno.EHOSTDOWN, errno.ENXIO}
)  # fmt: skip
"""The address is unreachable at the moment; treated as no answer."""


def request(family: Family, token: bytes, sequence: int) -> bytes:
    """Return an echo request that carries a token."""
    body = token + _PADDING
    head = _HEADER.pack(_REQUEST[family], 0, 0, os.getpid() & 0xFFFF, sequence & 0xFFFF)
    if family is Family.IPV6:
        return head + body  # the kernel fills in the checksum: it covers the addresses
    sum_ = internet_checksum(head + body)
    return _HEADER.pack(_REQUEST[family], 0, sum_, os.getpid() & 0xFFFF, sequence & 0xFFFF) + body


def is_reply(family: Family, packet: bytes, token: bytes) -> bool:
    """Tell whether a received packet answers the request with a token.

    A raw IPv4 socket returns the IP header as well.
    """
    if family is Family.IPV4 and packet and packet[0] >> 4 == 4:  # noqa: PLR2004
        packet = packet[(packet[0] & 0xF) * 4 :]
    start = _HEADER.size
    return (
        len(packet) >= start + _TOKEN_BYTES
        and packet[0] == _REPLY[family]
        and packet[start : start + _TOKEN_BYTES] == token
    )


async def echo(target: IPAddress, link: str, timeout_s: float, sequence: int = 0) -> float | None:
    """Send one echo request through a device.

    Returns:
        Round-trip time in seconds; None without an answer in time.

    Raises:
        OSError: This process lacks CAP_NET_RAW.
    """
    answer = await first_to_answer([target], link, timeout_s, sequence=sequence)
    return None if answer is None else answer[1]


async def first_to_answer(
    targets: Collection[IPAddress],
    link: str,
    timeout_s: float,
    *,
    hops: int | None = None,
    sequence: int = 0,
) -> tuple[IPAddress, float] | None:
    """Ping several addresses of one family through a device; return the first that answers.

    Args:
        targets: The addresses.
        link: The device.
        timeout_s: For all of them.
        hops: Hop limit of the requests; None for the host's default.
        sequence: Sequence number of the requests.

    Raises:
        OSError: This process lacks CAP_NET_RAW.
    """
    tokens = {os.urandom(_TOKEN_BYTES): target for target in targets}
    family = family_of(next(iter(targets)))
    try:
        with _socket(family, link, hops) as sender:
            loop = asyncio.get_running_loop()
            began = time.monotonic()
            for token, target in tokens.items():
                await loop.sock_sendto(sender, request(family, token, sequence), (str(target), 0))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while True:
                        packet = await loop.sock_recv(sender, _MAX_PACKET_BYTES)
                        for token, target in tokens.items():
                            if is_reply(family, packet, token):
                                return target, time.monotonic() - began
    except OSError as error:
        if error.errno not in _TRANSIENT:
            raise
    return None


@contextlib.contextmanager
def _socket(family: Family, link: str, hops: int | None) -> Iterator[socket.socket]:
    with _opened(family) as opened:
        opened.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode() + b"\0")
        if hops is not None and family is Family.IPV4:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        elif hops is not None:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        yield opened


def _opened(family: Family) -> socket.socket:
    kind = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    try:
        return socket.socket(kind, socket.SOCK_RAW, _PROTOCOL[family])
    except PermissionError:
        # net.ipv4.ping_group_range may allow this without CAP_NET_RAW.
        return socket.socket(kind, socket.SOCK_DGRAM, _PROTOCOL[family])
