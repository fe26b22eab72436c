"""Packets as values: what their headers say, down to the ports, with or without a tunnel's around.

Sources: RFC 791 (IPv4), 8200 (IPv6), 2003 (IP in IP, protocol 4), 2784 and 2890 (GRE, protocol 47),
draft-ietf-intarea-gue (GUE, over UDP), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 4861 (neighbour
discovery), 826 (ARP).
"""

import enum
import socket
import struct
from dataclasses import dataclass

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
IPIP, TCP, UDP, IPV6, GRE, ICMP, ICMPV6 = 4, 6, 17, 41, 47, 1, 58
GUE_PORT = 6080

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION_OPTIONS = 0, 43, 44, 60
_IPV6_OPTIONS = {_HOP_BY_HOP, _ROUTING, _DESTINATION_OPTIONS}
_IPV4_FRAGMENT_OFFSET = 0x1FFF
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x4000, 0x2000
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE = 0x8000, 0x2000, 0x1000
_GUE_CONTROL = 0x20
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED, _OVERRIDE = 0x40, 0x20
_SOURCE_LINK_ADDRESS, _TARGET_LINK_ADDRESS = 1, 2
_MSS_OPTION, _NO_OPERATION, _END_OF_OPTIONS = 2, 1, 0


class TcpFlag(enum.Flag):
    """The flags of a TCP segment."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


@dataclass(frozen=True, slots=True)
class Ip:
    """An IPv4 or IPv6 header.

    Attributes:
        source: As text.
        destination: As text.
        protocol: The number of what follows, behind IPv6's options.
        ttl: IPv6: the hop limit.
        length: Of the packet with this header, in bytes.
        dont_fragment: IPv4's flag; an IPv6 packet is never fragmented on its way.
        fragment: Whether this is a part of a packet only.
    """

    source: str
    destination: str
    protocol: int
    ttl: int
    length: int
    dont_fragment: bool
    fragment: bool

    @property
    def ends(self) -> tuple[str, str]:
        """Source and destination."""
        return self.source, self.destination


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP segment; `length` is its payload's, `mss` what a SYN offers."""

    source_port: int
    destination_port: int
    flags: TcpFlag
    sequence: int
    length: int
    mss: int | None


@dataclass(frozen=True, slots=True)
class Udp:
    """A UDP datagram; `length` is its payload's."""

    source_port: int
    destination_port: int
    length: int


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP or ICMPv6 message; `mtu` is what one about a too large packet tells."""

    type: int
    code: int
    mtu: int | None


@dataclass(frozen=True, slots=True)
class Solicitation:
    """A neighbour solicitation (RFC 4861); `link_address` is the asker's, None without."""

    target: str
    link_address: str | None


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A neighbour advertisement (RFC 4861); `link_address` is the target's, None without."""

    target: str
    link_address: str | None
    solicited: bool
    override: bool


Transport = Tcp | Udp | Icmp | Solicitation | Advertisement


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet.

    Attributes:
        outer: The tunnel's header (`protocol` is 4 or 41, 47 for GRE, 17 for GUE), or None without.
        ip: The header of the packet itself.
        transport: What is in it; None for other protocols and for later fragments.
    """

    outer: Ip | None
    ip: Ip
    transport: Transport | None


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP message; `operation` is 1 for a request and 2 for an answer."""

    operation: int
    sender_mac: str
    sender: str
    target: str


class MalformedPacketError(ValueError):
    """A packet ends before its headers do."""


def parse(ethertype: int, data: bytes, gue_port: int = GUE_PORT) -> Packet | Arp | None:
    """Parse what follows a link's header; what follows the transport's may be missing.

    Args:
        ethertype: What the link's header says that follows.
        data: What follows.
        gue_port: The UDP port at which GUE is looked for.

    Returns:
        None for what is neither IP nor ARP.

    Raises:
        MalformedPacketError: It ends too early.
    """
    try:
        if ethertype in {ETHERTYPE_IPV4, ETHERTYPE_IPV6}:
            return _parse_packet(data, gue_port)
        return _parse_arp(data) if ethertype == ETHERTYPE_ARP else None
    except (struct.error, IndexError, OSError, ValueError) as error:  # the last two: inet_ntop
        raise MalformedPacketError(f"the packet ends too early: {data.hex()}") from error


def _parse_packet(data: bytes, gue_port: int) -> Packet:
    ip, payload, length = _parse_ip(data)
    tunnelled = None if ip.fragment else _tunnelled(ip, payload, gue_port)
    if tunnelled is None:
        return Packet(None, ip, _parse_transport(ip, payload, length))
    inner, payload, length = _parse_ip(tunnelled)
    return Packet(ip, inner, _parse_transport(inner, payload, length))


def _parse_ip(data: bytes) -> tuple[Ip, bytes, int]:
    """Return the header, what was captured behind it, and how long that was on the wire."""
    return _parse_ipv6(data) if data[0] >> 4 == 6 else _parse_ipv4(data)  # noqa: PLR2004 - IP's version


def _parse_ipv4(data: bytes) -> tuple[Ip, bytes, int]:
    first, _, length, _, fragment, ttl, protocol, _ = struct.unpack_from("!BBHHHBBH", data)
    header_length = 4 * (first & 0x0F)
    ip = Ip(
        source=socket.inet_ntoa(data[12:16]),
        destination=socket.inet_ntoa(data[16:20]),
        protocol=protocol,
        ttl=ttl,
        length=length,
        dont_fragment=bool(fragment & _DONT_FRAGMENT),
        fragment=bool(fragment & (_MORE_FRAGMENTS | _IPV4_FRAGMENT_OFFSET)),
    )
    return ip, data[header_length:], length - header_length


def _parse_ipv6(data: bytes) -> tuple[Ip, bytes, int]:
    _, length, protocol, ttl = struct.unpack_from("!IHBB", data)
    source, destination = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    at, fragment = 40, False
    while protocol in _IPV6_OPTIONS:
        protocol, at = data[at], at + 8 + 8 * data[at + 1]
    if protocol == _FRAGMENT:
        protocol, at, fragment = data[at], at + 8, True
    ip = Ip(
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=ttl,
        length=40 + length,
        dont_fragment=True,
        fragment=fragment,
    )
    return ip, data[at:], 40 + length - at


def _tunnelled(ip: Ip, payload: bytes, gue_port: int) -> bytes | None:
    """Return the packet inside, or None where there is none."""
    if ip.protocol in {IPIP, IPV6}:
        return payload
    if ip.protocol == GRE:
        flags, ethertype = struct.unpack_from("!HH", payload)
        optional = (_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE)
        length = 4 + sum(4 for flag in optional if flags & flag)
        return payload[length:] if ethertype in {ETHERTYPE_IPV4, ETHERTYPE_IPV6} else None
    if ip.protocol == UDP and struct.unpack_from("!H", payload, 2)[0] == gue_port:
        first, protocol = payload[8], payload[9]
        is_data = not first & _GUE_CONTROL and protocol in {IPIP, IPV6}
        return payload[8 + 4 + 4 * (first & 0x1F) :] if is_data else None
    return None


def _parse_transport(ip: Ip, data: bytes, length: int) -> Transport | None:
    if ip.fragment:
        return None
    if ip.protocol == TCP:
        return _parse_tcp(data, length)
    if ip.protocol == UDP:
        source_port, destination_port = struct.unpack_from("!HH", data)
        return Udp(source_port, destination_port, length - 8)
    if ip.protocol in {ICMP, ICMPV6}:
        kind, code = data[0], data[1]
        if (ip.protocol, kind, code) == (ICMP, 3, 4):  # fragmentation needed
            return Icmp(kind, code, mtu=struct.unpack_from("!H", data, 6)[0])
        if (ip.protocol, kind) == (ICMPV6, 2):  # packet too big
            return Icmp(kind, code, mtu=struct.unpack_from("!I", data, 4)[0])
        if ip.protocol == ICMPV6 and kind in {_SOLICITATION, _ADVERTISEMENT}:
            return _parse_neighbour_discovery(data)
        return Icmp(kind, code, mtu=None)
    return None


def _parse_neighbour_discovery(data: bytes) -> Solicitation | Advertisement:
    kind, flags, target = data[0], data[4], socket.inet_ntop(socket.AF_INET6, data[8:24])
    if kind == _SOLICITATION:
        return Solicitation(target, _link_address(data[24:], _SOURCE_LINK_ADDRESS))
    return Advertisement(
        target,
        _link_address(data[24:], _TARGET_LINK_ADDRESS),
        solicited=bool(flags & _SOLICITED),
        override=bool(flags & _OVERRIDE),
    )


def _link_address(options: bytes, wanted: int) -> str | None:
    at = 0
    while at < len(options):
        if options[at] == wanted:
            return options[at + 2 : at + 8].hex(":")
        at += 8 * max(options[at + 1], 1)
    return None


def _parse_tcp(data: bytes, length: int) -> Tcp:
    source_port, destination_port, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data)
    header_length = 4 * (offset >> 4)
    return Tcp(
        source_port,
        destination_port,
        TcpFlag(flags),
        sequence,
        length - header_length,
        _maximum_segment_size(data[20:header_length]),
    )


def _maximum_segment_size(options: bytes) -> int | None:
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        if options[at] == _MSS_OPTION:
            return int(struct.unpack_from("!H", options, at + 2)[0])
        at += 1 if options[at] == _NO_OPERATION else max(options[at + 1], 2)
    return None


def _parse_arp(data: bytes) -> Arp:
    (operation,) = struct.unpack_from("!H", data, 6)
    return Arp(
        operation,
        data[8:14].hex(":"),
        socket.inet_ntoa(data[14:18]),
        socket.inet_ntoa(data[24:28]),
    )
