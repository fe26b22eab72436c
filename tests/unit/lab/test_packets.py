"""Packets: what the kernel sent, read back field by field."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.packets import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    GRE,
    IPIP,
    IPV6,
    TCP,
    UDP,
    Advertisement,
    Arp,
    Icmp,
    Ip,
    MalformedPacketError,
    Packet,
    Solicitation,
    Tcp,
    TcpFlag,
    Udp,
    parse,
)
from lvsctl.director.vips.ndp import advertised, announcement

# Captured in the lab on Linux 6.1: a client's SYN, as the director sent it on in each tunnel type.
SYN = "a002faf0ed350000020405b40402080ac81717130000000001030307"
IN_IPIP = (
    "45000050000040003f04b792c000020ac000020d"
    "4500003cd56340003f067951c00002c9c633640ad3710050bdee88a500000000" + SYN
)
IN_GRE = (
    "45000054000040003f2fb765c000020ac000020b00000800"
    "4500003c79d940003f06d4dbc00002c9c633640aa5dd00506ac2359c00000000"
    "a002fd20ed350000020405a00402080ac81718980000000001030307"
)
IN_GUE = (
    "4500005c000040003f11b77bc000020ac000020bb4da17c00048000000040000"
    "4500003c65ce40003f06e8e6c00002c9c633640aa67b00502fe9901f00000000"
    "a002fd20ed350000020405a00402080ac81719140000000001030307"
)
IN_IPV6 = (
    "600000000050293f20010db800020000000000000000001020010db8000200000000000000000013"
    "600478ff0028063f20010db800020000000000000000020120010db8005100000000000000000010"
    "eb170050f30de76f00000000a002fd205e040000020405a00402080a52207bdc0000000001030307"
)
DATAGRAM = "450000214290400040110b35c00002c9c633640a89800007000ded2568656c6c6f"
TOO_LARGE = "45c00240a24400004001e8b1c633640ac00002c90304b738000005c8450013bcee8d4000"
SOLICITATION = (
    "6000000000203aff20010db8000200000000000000000201ff0200000000000000000001ff000010"
    "8700f95a0000000020010db8000200000000000000000010"
)
ANSWERED_ARP = "0001080006040002da855d112fd6c633640a7e8a21f6822cc00002c9"


def _ip(source: str, destination: str, protocol: int, length: int, ttl: int = 63) -> Ip:
    return Ip(source, destination, protocol, ttl, length, dont_fragment=True, fragment=False)


CLIENT_TO_VIP = _ip("192.0.2.201", "198.51.100.10", TCP, 60)


@pytest.mark.parametrize(
    ("captured", "outer"),
    [
        pytest.param(IN_IPIP, _ip("192.0.2.10", "192.0.2.13", IPIP, 80), id="ipip"),
        pytest.param(IN_GRE, _ip("192.0.2.10", "192.0.2.11", GRE, 84), id="gre"),
        pytest.param(IN_GUE, _ip("192.0.2.10", "192.0.2.11", UDP, 92), id="gue"),
    ],
)
def test_tunnels_over_ipv4(captured: str, outer: Ip) -> None:
    """The outer header is the director's, the inner one the client's, whatever is between."""
    packet = parse(ETHERTYPE_IPV4, bytes.fromhex(captured))
    assert isinstance(packet, Packet)
    assert (outer, CLIENT_TO_VIP) == (packet.outer, packet.ip)
    assert isinstance(packet.transport, Tcp)
    assert (80, TcpFlag.SYN) == (packet.transport.destination_port, packet.transport.flags)


def test_each_field_of_a_segment() -> None:
    """Ports, sequence number, flags, payload length and the offered segment size are read."""
    packet = parse(ETHERTYPE_IPV4, bytes.fromhex(IN_IPIP))
    assert isinstance(packet, Packet)
    assert Tcp(54129, 80, TcpFlag.SYN, 3186526373, length=0, mss=1460) == packet.transport


def test_ipv6_in_ipv6() -> None:
    """Both headers of a tunnel over IPv6 are read."""
    packet = parse(ETHERTYPE_IPV6, bytes.fromhex(IN_IPV6))
    assert isinstance(packet, Packet)
    assert _ip("2001:db8:2::10", "2001:db8:2::13", IPV6, 120) == packet.outer
    assert _ip("2001:db8:2::201", "2001:db8:51::10", TCP, 80) == packet.ip


def test_a_datagram() -> None:
    """A packet without a tunnel has no outer header; a datagram's length is its payload's."""
    ip = _ip("192.0.2.201", "198.51.100.10", UDP, 33, ttl=64)
    expected = Packet(None, ip, Udp(35200, 7, length=5))
    assert expected == parse(ETHERTYPE_IPV4, bytes.fromhex(DATAGRAM))


def test_a_message_about_a_large_packet() -> None:
    """The mtu is in it, also when the capture ends before the packet does."""
    packet = parse(ETHERTYPE_IPV4, bytes.fromhex(TOO_LARGE))
    assert isinstance(packet, Packet)
    assert Icmp(3, 4, mtu=1480) == packet.transport
    assert 576 == packet.ip.length


def test_a_neighbour_solicitation() -> None:
    """Who is looked for is read; this one does not tell who asks."""
    packet = parse(ETHERTYPE_IPV6, bytes.fromhex(SOLICITATION))
    assert isinstance(packet, Packet)
    assert Solicitation("2001:db8:2::10", link_address=None) == packet.transport


@given(st.binary(min_size=6, max_size=6), st.ip_addresses(network="2001:db8::/32"))
def test_a_neighbour_advertisement(mac: bytes, address: IPv6Address) -> None:
    """What the director announces has a right checksum and says where the address is now."""
    frame = announcement(mac, address)
    packet = parse(ETHERTYPE_IPV6, frame[14:])
    assert isinstance(packet, Packet)
    assert (str(address), "ff02::1") == packet.ip.ends
    assert (255, len(frame) - 14) == (packet.ip.ttl, packet.ip.length)
    said = Advertisement(str(address), mac.hex(":"), solicited=False, override=True)
    assert said == packet.transport
    assert (address, mac) == advertised(frame[54:])
    # RFC 1071: the sum over what the checksum covers, itself among it, is all ones.
    covered = frame[22:54] + (len(frame) - 54).to_bytes(4) + (58).to_bytes(4) + frame[54:]
    assert (
        0 == sum(int.from_bytes(covered[at : at + 2]) for at in range(0, len(covered), 2)) % 65535
    )


def test_an_arp_answer() -> None:
    """Who says that the VIP is where, and to whom, is read."""
    expected = Arp(2, "da:85:5d:11:2f:d6", "198.51.100.10", "192.0.2.201")
    assert expected == parse(ETHERTYPE_ARP, bytes.fromhex(ANSWERED_ARP))


def test_ipv6_options_are_passed_over() -> None:
    """A tunnel's encapsulation limit, RFC 2473, stands between the headers, but not in the way."""
    outer, inner = bytes.fromhex(IN_IPV6)[:40], bytes.fromhex(IN_IPV6)[40:]
    option = bytes([IPV6, 0, 4, 1, 4, 1, 0, 0])
    with_option = outer[:4] + (88).to_bytes(2, "big") + bytes([60]) + outer[7:] + option + inner
    packet = parse(ETHERTYPE_IPV6, with_option)
    assert isinstance(packet, Packet)
    assert _ip("2001:db8:2::10", "2001:db8:2::13", IPV6, 128) == packet.outer
    assert _ip("2001:db8:2::201", "2001:db8:51::10", TCP, 80) == packet.ip


def test_a_fragment_has_no_transport() -> None:
    """What is in a fragment is not taken for a header, nor for a tunnel."""
    data = bytearray.fromhex(IN_IPIP)
    data[6:8] = b"\x20\x00"
    packet = parse(ETHERTYPE_IPV4, bytes(data))
    assert isinstance(packet, Packet)
    assert packet.ip.fragment
    assert (None, None) == (packet.outer, packet.transport)


def test_what_is_neither_is_nothing() -> None:
    """A frame of another protocol is passed over."""
    assert parse(0x88CC, bytes(60)) is None


@given(
    captured=st.sampled_from([IN_IPIP, IN_GRE, IN_GUE, IN_IPV6, DATAGRAM, SOLICITATION]),
    kept=st.integers(0, 140),
)
def test_a_packet_cut_short_is_refused_or_read(captured: str, kept: int) -> None:
    """Wherever a packet is cut, it is read like the whole one, or refused as malformed."""
    whole = bytes.fromhex(captured)
    ethertype = ETHERTYPE_IPV6 if whole[0] >> 4 == 6 else ETHERTYPE_IPV4
    try:
        cut = parse(ethertype, whole[:kept])
    except MalformedPacketError:
        assert kept < len(whole)
        return
    complete = parse(ethertype, whole)
    assert isinstance(cut, Packet)
    assert isinstance(complete, Packet)
    assert (complete.outer, complete.ip) == (cut.outer, cut.ip)


@given(data=st.binary(max_size=200), ethertype=st.sampled_from([0x0800, 0x86DD, 0x0806]))
def test_garbage_is_read_or_refused(data: bytes, ethertype: int) -> None:
    """Random bytes give a value or the one error, never another."""
    try:
        parsed = parse(ethertype, data)
    except MalformedPacketError:
        return
    assert isinstance(parsed, Packet | Arp)
