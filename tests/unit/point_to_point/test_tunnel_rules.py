"""What a point-to-point tunnel must keep to."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.rules.clashes import _clashes, clashes
from lvsctl.farm.tunnels import (
    MAX_ADDRESSES,
    End,
    Tunnel,
    end_of,
    end_problems,
    ends_on,
    overhead,
    tunnel_problems,
)
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.net import Family

C = End("c", ip_address("192.0.2.11"), (ip_interface("192.168.2.1/24"),), "eth0", "c2d")
D = End("d", ip_address("192.0.2.12"), (ip_interface("192.168.2.2/24"),), "eth0", "d2c")
IPIP = Tunnel("c2d", TunnelMode.IPIP, (C, D))
GRE = replace(IPIP, mode=TunnelMode.GRE)


def inside(*addresses: str) -> tuple[object, ...]:
    return tuple(map(ip_interface, addresses))


def at_both(tunnel: Tunnel, one: Mapping[str, object], other: Mapping[str, object]) -> Tunnel:
    return replace(tunnel, ends=(replace(tunnel.ends[0], **one), replace(tunnel.ends[1], **other)))


def test_an_end_is_the_tunnel_seen_from_one_host() -> None:
    """Local and remote change places, and each knows where the other one is inside."""
    expected = TunnelEnd(
        tunnel="c2d",
        link="d2c",
        mode=TunnelMode.GRE,
        local=D.underlay,
        remote=C.underlay,
        addresses=D.addresses,
        peers=(ip_address("192.168.2.1"),),
        device="eth0",
        key=7,
        ttl=9,
        mtu=1400,
    )
    assert expected == end_of(replace(GRE, key=7, ttl=9, mtu=1400), 1)
    assert "c2d" == end_of(at_both(GRE, {"link": None}, {}), 0).link


def test_an_agent_has_the_ends_that_name_it() -> None:
    """Each agent gets its own ends, sorted by the tunnel's name, and nobody else any."""
    tunnels = {"b": replace(IPIP, name="b"), "a": replace(GRE, name="a")}
    assert ["a", "b"] == [end.tunnel for end in ends_on("c", tunnels)]
    assert () == ends_on("e", tunnels)


RIGHT = {
    "ipip": IPIP,
    "gre": GRE,
    "the greatest key": replace(GRE, key=0xFFFFFFFF),
    "key 0": replace(GRE, mode=TunnelMode.GRETAP, key=0),
    "the largest ipip packet": replace(IPIP, mtu=65515),
    "the smallest": replace(IPIP, mtu=68),
    "IPv6 inside gre": at_both(
        GRE, {"addresses": inside("2001:db8:9::1/64")}, {"addresses": inside("2001:db8:9::2/64")}
    ),
    "a /31": at_both(
        IPIP, {"addresses": inside("10.9.9.0/31")}, {"addresses": inside("10.9.9.1/31")}
    ),
    "gre over IPv6": at_both(
        GRE, {"underlay": ip_address("2001:db8::1")}, {"underlay": ip_address("2001:db8::2")}
    ),
    "two networks": at_both(
        GRE,
        {"addresses": inside("10.9.9.1/30", "2001:db8:9::1/64")},
        {"addresses": inside("2001:db8:9::2/64", "10.9.9.2/30")},
    ),
}


@pytest.mark.parametrize("tunnel", RIGHT.values(), ids=RIGHT.keys())
def test_what_the_kernel_can_is_let_through(tunnel: Tunnel) -> None:
    """A tunnel that works has no problem."""
    assert [] == list(tunnel_problems(tunnel))


WRONG = {
    "IPv6 inside ipip": (
        at_both(
            IPIP,
            {"addresses": inside("2001:db8:9::1/64")},
            {"addresses": inside("2001:db8:9::2/64")},
        ),
        "/ends/0/addresses/0",
        "ipip carries no IPv6",
        "mode gre or gretap",
    ),
    "a key for ipip": (replace(IPIP, key=1), "/key", "ipip has no key", "gre"),
    "too great a key": (replace(GRE, key=1 << 32), "/key", "out of range", "0 to 4294967295"),
    "ttl 0": (replace(GRE, ttl=0), "/ttl", "out of range", "1 to 255"),
    "too small an mtu": (replace(IPIP, mtu=67), "/mtu", "out of range", "68 to 65515"),
    "too large an mtu": (replace(GRE, key=1, mtu=65508), "/mtu", "out of range", "68 to 65507"),
    "a long name": (
        at_both(replace(IPIP, name="from-c-to-d-2026"), {"link": None}, {}),
        "/name",
        "no name of a device",
        "give the end a link",
    ),
    "the kernel's name": (at_both(IPIP, {"link": "tunl0"}, {}), "/ends/0/link", "kernel's", ""),
    "lvsctl's name": (at_both(IPIP, {}, {"link": "lvs0"}), "/ends/1/link", "lvsctl's", ""),
    "itself below": (at_both(IPIP, {"device": "c2d"}, {}), "/ends/0/device", "own device", ""),
    "two families": (
        at_both(GRE, {}, {"underlay": ip_address("2001:db8::2")}),
        "/ends/1/underlay",
        "different families",
        "IPv4",
    ),
    "ipip over IPv6": (
        at_both(
            IPIP, {"underlay": ip_address("2001:db8::1")}, {"underlay": ip_address("2001:db8::2")}
        ),
        "/mode",
        "not carried by IPv6",
        "gre",
    ),
    "one host": (at_both(IPIP, {}, {"agent": "c"}), "/ends/1/agent", "both ends are on c", ""),
    "one address": (
        at_both(IPIP, {}, {"underlay": C.underlay}),
        "/ends/1/underlay",
        "both ends are at 192.0.2.11",
        "",
    ),
    "one end": (replace(IPIP, ends=(C,)), "/ends", "two ends, not 1", "two"),
    "nothing inside": (
        at_both(IPIP, {"addresses": ()}, {"addresses": ()}),
        "/ends/0/addresses",
        "no address inside",
        "192.168.2.1/24",
    ),
    "other networks": (
        at_both(IPIP, {}, {"addresses": inside("192.168.3.2/24")}),
        "/ends/1/addresses/0",
        "no network of the other end",
        "192.168.2.0/24",
    ),
    "another prefix": (
        at_both(IPIP, {}, {"addresses": inside("192.168.2.2/25")}),
        "/ends/0/addresses/0",
        "the other end has no address in 192.168.2.0/24",
        "",
    ),
    "the same inside": (
        at_both(IPIP, {}, {"addresses": inside("192.168.2.1/24")}),
        "/ends/1/addresses/0",
        "192.168.2.1 is the other end's too",
        "",
    ),
    "a wide network": (
        at_both(GRE, {"addresses": inside("10.0.0.1/15")}, {"addresses": inside("10.0.0.2/15")}),
        "/ends/0/addresses/0",
        "too wide for a link",
        "/16 or narrower",
    ),
    "half of IPv6": (
        at_both(GRE, {"addresses": inside("fd00::1/1")}, {"addresses": inside("fd00::2/1")}),
        "/ends/0/addresses/0",
        "too wide for a link",
        "/48 or narrower",
    ),
    "loopback inside": (
        at_both(IPIP, {}, {"addresses": inside("127.0.0.1/24")}),
        "/ends/1/addresses/0",
        "loopback",
        "",
    ),
    "the network itself": (
        at_both(IPIP, {"addresses": inside("192.168.2.0/24")}, {}),
        "/ends/0/addresses/0",
        "the network itself",
        "a host of 192.168.2.0/24",
    ),
    "the broadcast address": (
        at_both(IPIP, {"addresses": inside("192.168.2.255/24")}, {}),
        "/ends/0/addresses/0",
        "broadcast",
        "",
    ),
    "its own way inside": (
        at_both(
            IPIP, {"addresses": inside("192.0.2.77/24")}, {"addresses": inside("192.0.2.78/24")}
        ),
        "/ends/0/addresses/0",
        "into the tunnel itself",
        "",
    ),
    "a multicast address": (
        at_both(IPIP, {"underlay": ip_address("224.0.0.5")}, {}),
        "/ends/0/underlay",
        "multicast",
        "",
    ),
}


@pytest.mark.parametrize(
    ("tunnel", "pointer", "detail", "allowed"), WRONG.values(), ids=WRONG.keys()
)
def test_what_is_wrong_is_named(tunnel: Tunnel, pointer: str, detail: str, allowed: str) -> None:
    """Each wrong field has a problem that says why, and what would be right."""
    found = [problem for problem in tunnel_problems(tunnel) if problem.pointer == pointer]
    assert [problem for problem in found if detail in problem.detail]
    assert all(allowed in problem.allowed for problem in found if detail in problem.detail)


OTHER = Tunnel(
    "other",
    TunnelMode.IPIP,
    (
        End("c", ip_address("192.0.2.11"), inside("192.168.7.1/24"), link="c2e"),
        End("e", ip_address("192.0.2.13"), inside("192.168.7.2/24"), link="e2c"),
    ),
)


def test_tunnels_beside_each_other_do_not_clash() -> None:
    """The same hosts may be joined by another mode, by keys, and other hosts by the same name."""
    tunnels = [
        IPIP,
        OTHER,
        replace(
            at_both(
                GRE,
                {"addresses": inside("10.1.0.1/24"), "link": "g1"},
                {"addresses": inside("10.1.0.2/24"), "link": "g1"},
            ),
            name="g1",
        ),
        replace(
            at_both(
                GRE,
                {"addresses": inside("10.2.0.1/24"), "link": "g2"},
                {"addresses": inside("10.2.0.2/24"), "link": "g2"},
            ),
            name="g2",
            key=2,
        ),
    ]
    assert [] == list(clashes({tunnel.name: tunnel for tunnel in tunnels}))


@pytest.mark.parametrize(
    ("later", "pointer", "detail"),
    [
        (
            replace(
                at_both(
                    IPIP,
                    {"addresses": inside("10.1.0.1/24"), "link": "x"},
                    {"addresses": inside("10.1.0.2/24"), "link": "y"},
                ),
                ends=(
                    replace(D, addresses=inside("10.1.0.1/24"), link="x"),
                    replace(C, addresses=inside("10.1.0.2/24"), link="y"),
                ),
            ),
            "/ends",
            "tunnel c2d already joins 192.0.2.12 and 192.0.2.11 by ipip",
        ),
        (at_both(OTHER, {"link": "c2d"}, {}), "/ends/0/link", "c2d on c belongs to tunnel c2d"),
        (
            at_both(
                OTHER,
                {"addresses": inside("192.168.2.65/26")},
                {"addresses": inside("192.168.2.66/26")},
            ),
            "/ends/1/addresses/0",
            "192.168.2.64/26 overlaps 192.168.2.0/24 of tunnel c2d",
        ),
    ],
    ids=["endpoints, even turned round", "a device's name", "an inner network"],
)
def test_tunnels_in_each_others_way_are_told(later: Tunnel, pointer: str, detail: str) -> None:
    """The later of two tunnels that cannot both be has the problem."""
    found = list(clashes({"c2d": IPIP, "z": replace(later, name="z")}))
    assert ("z", pointer, detail) in [(name, p.pointer, p.detail) for name, p in found]


def test_addresses_without_end_are_refused_without_comparing_them() -> None:
    """Each would be compared with every other."""
    many = inside(*(f"10.{n >> 8}.{n & 255}.1/24" for n in range(MAX_ADDRESSES + 1)))
    found = list(tunnel_problems(at_both(IPIP, {"addresses": many}, {"addresses": many})))
    assert ["/ends/0/addresses", "/ends/1/addresses"] == [problem.pointer for problem in found]
    assert {f"up to {MAX_ADDRESSES}"} == {problem.allowed for problem in found}


NETWORKS = st.sampled_from(
    [
        *("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/24", "11.0.0.0/8", "0.0.0.0/0"),
        *("2001:db8::/32", "2001:db8:1::/48", "2001:db9::/64", "::/0"),
    ]
)


@st.composite
def declared_tunnels(draw: st.DrawFn) -> dict[str, Tunnel]:
    """Tunnels of few hosts, names and networks."""
    tunnels = {}
    for name in draw(st.lists(st.sampled_from("abcdefgh"), unique=True)):
        ends = [
            replace(
                end,
                agent=draw(st.sampled_from(["c", "d", "e"])),
                link=draw(st.sampled_from([None, "x", "y"])),
                addresses=inside(*draw(st.lists(NETWORKS, max_size=3))),
            )
            for end in (C, D)
        ]
        key = draw(st.sampled_from([None, 1, 2]))
        tunnels[name] = Tunnel(name, TunnelMode.GRE, (ends[0], ends[1]), key=key)
    return tunnels


@given(declared_tunnels())
def test_marks_leave_no_clash_out(tunnels: dict[str, Tunnel]) -> None:
    """It is the same as comparing every tunnel with every earlier one."""
    values = list(tunnels.values())
    compared = [
        (tunnel.name, problem)
        for position, tunnel in enumerate(values)
        for other in values[:position]
        for problem in _clashes(tunnel, other)
    ]
    assert compared == list(clashes(tunnels))


@pytest.mark.parametrize(
    ("mode", "outer", "key", "mtu"),
    [
        (TunnelMode.IPIP, Family.IPV4, None, 1480),
        (TunnelMode.GRE, Family.IPV4, None, 1476),
        (TunnelMode.GRE, Family.IPV4, 0, 1472),
        (TunnelMode.GRETAP, Family.IPV4, None, 1462),
        (TunnelMode.GRE, Family.IPV6, None, 1456),
    ],
)
def test_the_headers_leave_so_much(
    mode: TunnelMode, outer: Family, key: int | None, mtu: int
) -> None:
    """Of 1500 bytes outside so many are left inside."""
    assert mtu == 1500 - overhead(mode, outer, key)


ADDRESSES = st.ip_addresses()
INTERFACES = st.builds(
    lambda address, length: ip_interface(f"{address}/{min(length, address.max_prefixlen)}"),
    ADDRESSES,
    st.integers(0, 128),
)
ENDS = st.builds(
    TunnelEnd,
    tunnel=st.text(max_size=20),
    link=st.text(max_size=20) | st.just("c2d"),
    mode=st.sampled_from(TunnelMode),
    local=ADDRESSES,
    remote=ADDRESSES,
    addresses=st.lists(INTERFACES, max_size=3).map(tuple),
    device=st.none() | st.text(max_size=20),
    key=st.none() | st.integers(),
    ttl=st.none() | st.integers(),
    mtu=st.none() | st.integers(),
)


@given(ENDS)
def test_any_end_is_judged(end: TunnelEnd) -> None:
    """Whatever is asked for, each problem points at a field and says something."""
    fields = {"link", "device", "local", "remote", "mode", "key", "ttl", "mtu", "addresses"}
    for problem in end_problems(end):
        assert problem.pointer.split("/")[1] in fields
        assert problem.detail
