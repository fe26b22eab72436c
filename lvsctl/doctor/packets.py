"""Builds probes and parses what comes back. Pure.

A probe is an ICMP echo request to a VIP, encapsulated as IPVS does it. The real server decapsulates
it and replies from the VIP directly, outside the tunnel, as it replies to a client. Sources:
RFC 791, 792, 4443, 8200, 2003, 2784, draft-ietf-intarea-gue.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from lvsctl.doctor.facts import Arrival, IcmpError
from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of, internet_checksum
from lvsctl.packet_size import IP_HEADER

ICMP, ICMPV6, UDP, GRE, IPIP, IPV6 = 1, 58, 17, 47, 4, 41
INNER_PROTOCOL: Mapping[Family, int] = MappingProxyType({Family.IPV4: IPIP, Family.IPV6: IPV6})
ECHO_HEADER = 8
_ETHERTYPE = {Family.IPV4: 0x0800, Family.IPV6: 0x86DD}
_SOURCE_PORT = 61000
_GRE_CHECKSUM = 0x8000
_ECHO_REQUEST = {Family.IPV4: 8, Family.IPV6: 128}
_ECHO_REPLY = {Family.IPV4: 0, Family.IPV6: 129}
_LATER_FRAGMENT = 0x1FFF

_ICMP_ERRORS: Mapping[tuple[Family, int, int], str] = {
    (Family.IPV4, 3, 0): "network unreachable",
    (Family.IPV4, 3, 1): "host unreachable",
    (Family.IPV4, 3, 2): "protocol unreachable",
    (Family.IPV4, 3, 3): "port unreachable",
    (Family.IPV4, 3, 4): "too big",
    (Family.IPV4, 3, 9): "prohibited by a firewall",
    (Family.IPV4, 3, 10): "prohibited by a firewall",
    (Family.IPV4, 3, 13): "prohibited by a firewall",
    (Family.IPV4, 11, 0): "it goes round in a loop",
    (Family.IPV6, 1, 0): "no route",
    (Family.IPV6, 1, 1): "prohibited by a firewall",
    (Family.IPV6, 1, 3): "host unreachable",
    (Family.IPV6, 1, 4): "port unreachable",
    (Family.IPV6, 2, 0): "too big",
    (Family.IPV6, 3, 0): "it goes round in a loop",
    (Family.IPV6, 4, 1): "protocol unreachable",
}
TOO_BIG = "too big"


@dataclass(frozen=True, slots=True)
class Reply:
    """An echo reply.

    Attributes:
        sender: The host that replied.
        identifier: Identifier of the request.
        sequence: Sequence number of the request.
    """

    sender: IPAddress
    identifier: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Error:
    """An ICMP error about a packet that this host sent.

    Attributes:
        icmp_error: The error.
        destination: Destination of that packet.
        protocol: IP protocol of that packet.
        length: Length of that packet in bytes.
    """

    icmp_error: IcmpError
    destination: IPAddress
    protocol: int
    length: int


def echo(
    source: IPAddress, destination: IPAddress, identifier: int, sequence: int, size: int
) -> bytes:
    """Return an ICMP echo request, without an IP header, of ``size`` bytes."""
    family = family_of(destination)
    content = bytes(max(size - ECHO_HEADER, 0))

    def header(checksum: int) -> bytes:
        return struct.pack("!BBHHH", _ECHO_REQUEST[family], 0, checksum, identifier, sequence)

    pseudo = (
        b"" if family is Family.IPV4 else _pseudo_header(source, destination, ICMPV6, max(size, 8))
    )
    return header(internet_checksum(pseudo + header(0) + content)) + content


def ip_packet(source: IPAddress, destination: IPAddress, protocol: int, payload: bytes) -> bytes:
    """Return an IP packet with the don't-fragment flag."""
    if family_of(destination) is Family.IPV6:
        start = struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64)
        return start + source.packed + destination.packed + payload

    def header(checksum: int) -> bytes:
        length = IP_HEADER[Family.IPV4] + len(payload)
        start = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, protocol, checksum)
        return start + source.packed + destination.packed

    return header(internet_checksum(header(0))) + payload


def wrap(
    encapsulation: Encapsulation, inner: bytes, source: IPAddress, destination: IPAddress
) -> tuple[int, bytes]:
    """Return the outer packet's protocol and payload.

    Args:
        encapsulation: The outer header.
        inner: The inner packet.
        source: Outer source, for the UDP checksum.
        destination: Outer destination.
    """
    family = Family.IPV4 if inner[0] >> 4 == 4 else Family.IPV6  # noqa: PLR2004
    match encapsulation.type:
        case TunnelType.IPIP:
            return INNER_PROTOCOL[family], inner
        case TunnelType.GRE:
            return GRE, _gre(inner, family, checksum=TunnelFlag.CHECKSUM in encapsulation.flags)
        case TunnelType.GUE:
            body = struct.pack("!BBH", 0, INNER_PROTOCOL[family], 0) + inner
            return UDP, _udp(encapsulation.port, body, source, destination)


def _gre(inner: bytes, family: Family, *, checksum: bool) -> bytes:
    if not checksum:
        return struct.pack("!HH", 0, _ETHERTYPE[family]) + inner

    def header(value: int) -> bytes:
        return struct.pack("!HHHH", _GRE_CHECKSUM, _ETHERTYPE[family], value, 0)

    return header(internet_checksum(header(0) + inner)) + inner


def _udp(port: int, body: bytes, source: IPAddress, destination: IPAddress) -> bytes:
    length = 8 + len(body)

    def header(checksum: int) -> bytes:
        return struct.pack("!HHHH", _SOURCE_PORT, port, length, checksum)

    pseudo = _pseudo_header(source, destination, UDP, length)
    return header(internet_checksum(pseudo + header(0) + body) or 0xFFFF) + body


def _pseudo_header(source: IPAddress, destination: IPAddress, protocol: int, length: int) -> bytes:
    ends = source.packed + destination.packed
    if family_of(destination) is Family.IPV4:
        return ends + struct.pack("!BBH", 0, protocol, length)
    return ends + struct.pack("!II", length, protocol)


@dataclass(frozen=True, slots=True)
class _Ip:
    source: IPAddress
    destination: IPAddress
    protocol: int
    length: int
    payload: bytes


def _ip(data: bytes) -> _Ip | None:
    """Parse an IP packet; None if it is not one, or not the first fragment of one."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= IP_HEADER[Family.IPV4]:  # noqa: PLR2004
        (length, _, fragment) = struct.unpack_from("!HHH", data, 2)
        if fragment & _LATER_FRAGMENT:
            return None
        source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
        return _Ip(source, destination, data[9], length, data[4 * (data[0] & 0xF) :])
    header = IP_HEADER[Family.IPV6]
    if version == 6 and len(data) >= header:  # noqa: PLR2004
        (payload,) = struct.unpack_from("!H", data, 4)
        source6, destination6 = IPv6Address(data[8:24]), IPv6Address(data[24:40])
        protocol, rest = data[6], data[header:]
        if protocol == 44 and len(rest) >= 8:  # noqa: PLR2004 - a fragment header, 8 bytes
            if struct.unpack_from("!H", rest, 2)[0] & 0xFFF8:
                return None
            protocol, rest = rest[0], rest[8:]
        return _Ip(source6, destination6, protocol, header + payload, rest)
    return None


def parse_answer(data: bytes) -> Reply | Error | None:
    """Parse an IP packet that may be the answer to a probe; None for any other."""
    packet = _ip(data)
    if packet is None or packet.protocol not in {ICMP, ICMPV6} or len(packet.payload) < ECHO_HEADER:
        return None
    family = family_of(packet.source)
    kind, code, _, identifier, sequence = struct.unpack_from("!BBHHH", packet.payload)
    if kind == _ECHO_REPLY[family]:
        return Reply(packet.source, identifier, sequence)
    what = _ICMP_ERRORS.get((family, kind, code))
    about = _ip(packet.payload[ECHO_HEADER:])
    if what is None or about is None:
        return None
    mtu = (sequence if family is Family.IPV4 else identifier << 16 | sequence) * (what == TOO_BIG)
    return Error(
        IcmpError(packet.source, what, mtu), about.destination, about.protocol, about.length
    )


def parse_arrival(data: bytes) -> Arrival | None:
    """Parse a tunnelled IP packet; None for any other.

    A UDP datagram counts as tunnelled if what follows can be a GUE header and an IP header. The
    caller has to check whether the inner destination is a VIP.
    """
    outer = _ip(data)
    if outer is None:
        return None
    read = _UNWRAP.get(outer.protocol)
    found = None if read is None else read(outer.payload)
    if found is None:
        return None
    tunnel, inside = found
    inner = _ip(inside)
    if inner is None:
        return None
    return Arrival(tunnel, outer.source, outer.destination, inner.destination)


_Unwrapped = tuple[Tunnel, bytes] | None


def _unwrap_ip(payload: bytes) -> _Unwrapped:
    return Tunnel("ipip"), payload


def _unwrap_gre(payload: bytes) -> _Unwrapped:
    if len(payload) < 4:  # noqa: PLR2004
        return None
    flags, ethertype = struct.unpack_from("!HH", payload)
    if ethertype not in _ETHERTYPE.values():
        return None
    options = sum(4 for bit in (_GRE_CHECKSUM, 0x2000, 0x1000) if flags & bit)
    return Tunnel("gre", checksum=bool(flags & _GRE_CHECKSUM)), payload[4 + options :]


def _unwrap_gue(payload: bytes) -> _Unwrapped:
    if len(payload) < 12:  # noqa: PLR2004
        return None
    (port,) = struct.unpack_from("!H", payload, 2)
    first, protocol = payload[8], payload[9]
    if first & 0xE0 or protocol not in INNER_PROTOCOL.values():
        return None
    return Tunnel("gue", port), payload[12 + 4 * (first & 0x1F) :]


_UNWRAP: Mapping[int, Callable[[bytes], _Unwrapped]] = {
    IPIP: _unwrap_ip,
    IPV6: _unwrap_ip,
    GRE: _unwrap_gre,
    UDP: _unwrap_gue,
}
