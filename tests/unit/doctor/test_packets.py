"""Probes and their answers, checked with the lab's independent packet parser."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.lab import packets as lab
from lvsctl.doctor.facts import IcmpError, TunnelPath
from lvsctl.doctor.packets import (
    ICMP,
    ICMPV6,
    Arrival,
    Error,
    Reply,
    echo,
    ip_packet,
    parse_answer,
    parse_arrival,
    wrap,
)
from lvsctl.doctor.probing import Target
from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, internet_checksum
from lvsctl.packet_size import IP_HEADER

V4 = tuple(map(IPv4Address, ("192.0.2.10", "192.0.2.11", "198.51.100.10")))
V6 = tuple(map(IPv6Address, ("2001:db8:2::10", "2001:db8:2::11", "2001:db8:51::10")))
IPIP, GRE = Encapsulation(), Encapsulation(TunnelType.GRE)
GRE_CHECKSUM = Encapsulation(TunnelType.GRE, flags=TunnelFlag.CHECKSUM)
GUE = Encapsulation(TunnelType.GUE, 6080)
ADDRESSES = {Family.IPV4: V4, Family.IPV6: V6}
TUNNELS = {
    IPIP: Tunnel("ipip"),
    GRE: Tunnel("gre"),
    GRE_CHECKSUM: Tunnel("gre", checksum=True),
    GUE: Tunnel("gue", 6080),
}


def outer_packet(
    encapsulation: Encapsulation, inner: Family, outer: Family, size: int
) -> tuple[bytes, IPAddress, IPAddress, IPAddress]:
    dip, rip, _ = ADDRESSES[outer]
    own, _, vip = ADDRESSES[inner]
    target = Target(TunnelPath(vip, rip, encapsulation), dip, own, 1500)
    protocol, payload = target.packet(size, 7, 3)
    return ip_packet(dip, rip, protocol, payload), dip, rip, vip


@pytest.mark.parametrize("outer", Family)
@pytest.mark.parametrize("inner", Family)
@pytest.mark.parametrize("encapsulation", TUNNELS, ids=str)
@given(size=st.integers(min_value=128, max_value=9000))
def test_a_probe_has_the_requested_size_and_parses(
    encapsulation: Encapsulation, inner: Family, outer: Family, size: int
) -> None:
    """For every tunnel and family: the lab's parser and doctor's find the echo to the VIP."""
    data, dip, rip, vip = outer_packet(encapsulation, inner, outer, size)
    ethertype = lab.ETHERTYPE_IPV4 if outer is Family.IPV4 else lab.ETHERTYPE_IPV6
    seen = lab.parse(ethertype, data)
    assert size == len(data)
    assert isinstance(seen, lab.Packet)
    assert seen.outer is not None
    assert (str(dip), str(rip)) == seen.outer.ends
    assert str(vip) == seen.ip.destination
    assert isinstance(seen.transport, lab.Icmp)
    assert Arrival(TUNNELS[encapsulation], dip, rip, vip) == parse_arrival(data)


@given(st.binary(max_size=64))
def test_the_checksum_of_data_with_its_checksum_is_zero(data: bytes) -> None:
    """RFC 1071."""
    even = data + b"\0" * (len(data) % 2)
    assert 0 == internet_checksum(even + struct.pack("!H", internet_checksum(even)))


@pytest.mark.parametrize("family", Family)
def test_a_reply_is_parsed(family: Family) -> None:
    """With identifier and sequence number of the request."""
    own, _, vip = ADDRESSES[family]
    request = echo(vip, own, 7, 3, 64)
    kind, protocol = (0, ICMP) if family is Family.IPV4 else (129, ICMPV6)
    data = ip_packet(vip, own, protocol, bytes([kind]) + request[1:])
    assert Reply(vip, 7, 3) == parse_answer(data)


@pytest.mark.parametrize(
    ("family", "kind", "code", "number", "icmp_error"),
    [
        (Family.IPV4, 3, 4, 1400, ("too big", 1400)),
        (Family.IPV4, 3, 2, 0, ("protocol unreachable", 0)),
        (Family.IPV4, 3, 3, 0, ("port unreachable", 0)),
        (Family.IPV6, 2, 0, 1400, ("too big", 1400)),
        (Family.IPV6, 1, 1, 0, ("prohibited by a firewall", 0)),
    ],
)
def test_an_icmp_error_identifies_its_probe(
    family: Family, kind: int, code: int, number: int, icmp_error: tuple[str, int]
) -> None:
    """By destination, protocol and size, even if most of the probe was truncated."""
    probe, dip, rip, _ = outer_packet(IPIP, family, family, 1500)
    router = ADDRESSES[family][2]
    quoted = probe[: IP_HEADER[family] + 8]
    error = struct.pack("!BBHI", kind, code, 0, number) + quoted
    protocol = ICMP if family is Family.IPV4 else ICMPV6
    told = parse_answer(ip_packet(router, dip, protocol, error))
    outer_protocol = 4 if family is Family.IPV4 else 41
    assert Error(IcmpError(router, *icmp_error), rip, outer_protocol, 1500) == told


@given(st.binary(max_size=120))
def test_garbage_is_ignored(data: bytes) -> None:
    """And raises nothing: a packet socket receives anything."""
    for first in (b"", b"\x45", b"\x60"):
        parse_answer(first + data)
        parse_arrival(first + data)


def test_the_protocol_of_outer_packets() -> None:
    """4 or 41 depending on the inner family, 47, 17."""
    inner = {family: ip_packet(*ADDRESSES[family][:2], ICMP, bytes(8)) for family in Family}
    found = [
        wrap(encapsulation, inner[family], *V4[:2])[0]
        for encapsulation in (IPIP, GRE, GUE)
        for family in Family
    ]
    assert [4, 41, 47, 47, 17, 17] == found
