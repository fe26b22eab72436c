"""What an agent refuses of an assignment, and what it does all the same."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.agent.assignments import UNKNOWN_FARM, Assignments
from lvsctl.agent.faults import FaultLocation
from lvsctl.agent.policy import (
    MAX_FARM_ID,
    MAX_FARMS,
    MAX_REPORTED,
    MAX_TUNNEL_ENDS,
    MAX_TUNNELS,
    MAX_VIPS,
    HostAddresses,
    addresses_in_use,
    check_identity,
    conflicting_vips,
    screen,
    screen_all,
)
from lvsctl.errors import InvalidInput
from lvsctl.host.interface import AddressKey
from lvsctl.messages.model import Assignment, Tunnel, TunnelEnd, TunnelMode
from lvsctl.unicast import why_not_unicast

PLACE = FaultLocation("rs2")
IPIP = Tunnel("ipip")
VIP = IPv4Address("198.51.100.10")
GOOD = Assignment("f1", "rs2", (VIP,), (IPIP,))
END = TunnelEnd(
    tunnel="c2d",
    link="c2d",
    mode=TunnelMode.GRE,
    local=IPv4Address("192.0.2.11"),
    remote=IPv4Address("192.0.2.12"),
    addresses=(ip_interface("192.168.2.1/24"),),
)


def vips(count: int, first: str = "10.0.0.1") -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(first) + number for number in range(count))


addresses = st.ip_addresses() | st.sampled_from(
    [ip_address(text) for text in ("127.0.0.1", "224.0.0.1", "::1", "fe80::1%eth0", "10.0.0.1")]
)
assignments = st.builds(
    Assignment,
    farm_id=st.sampled_from(["f1", "f2", UNKNOWN_FARM]),
    agent=st.just("rs2"),
    vips=st.lists(addresses, max_size=30).map(tuple),
    tunnels=st.lists(
        st.builds(Tunnel, st.text(max_size=40), st.integers(), st.booleans()), max_size=30
    ).map(tuple),
    mtu=st.none() | st.integers(),
)


@given(assignments)
def test_what_is_left_can_be_done_and_nothing_else_is_missing(new: Assignment) -> None:
    """Every good part stays in its order, every bad one goes, and a second time changes nothing."""
    result = screen(new, (), PLACE)
    good = dict.fromkeys(vip for vip in new.vips if not why_not_unicast(vip))
    assert tuple(good) == result.assignment.vips
    assert len(result.assignment.tunnels) <= MAX_TUNNELS
    assert result.assignment.mtu is None or 576 <= result.assignment.mtu <= 65535
    assert bool(result.refusals) == (
        len({*good}) < len({*new.vips})
        or len(result.assignment.tunnels) < len({*new.tunnels})
        or result.assignment.mtu != new.mtu
    )
    again = screen(result.assignment, (), PLACE)
    assert (result.assignment, ()) == (again.assignment, again.refusals)


@given(st.lists(assignments, max_size=12))
def test_every_refusal_has_thing_cause_and_cure(several: list[Assignment]) -> None:
    """In few and short words, whatever was in the assignment."""
    held, refusals = screen_all(Assignments(tuple(several)), PLACE)
    assert len(held.farms) <= MAX_FARMS
    assert len(refusals) <= MAX_REPORTED + 1
    for fault in refusals:
        assert fault.subject
        assert "rs2" in fault.detail
        assert fault.cure
        assert len(fault.subject + fault.detail + fault.cure) < 600


@pytest.mark.parametrize(
    "tunnel",
    [Tunnel("ipip"), Tunnel("gre"), Tunnel("gre", checksum=True), Tunnel("gue", 1),
     Tunnel("gue", 65535), Tunnel("a-later-one", 4789, checksum=True)],
)  # fmt: skip
def test_a_tunnel_that_there_may_be_is_kept(tunnel: Tunnel) -> None:
    """One that this version does not know is told of elsewhere, and kept for a later one."""
    assert (tunnel,) == screen(replace(GOOD, tunnels=(tunnel,)), (), PLACE).assignment.tunnels


@pytest.mark.parametrize(
    "tunnel",
    [Tunnel("gue"), Tunnel("gue", 65536), Tunnel("gue", -1), Tunnel("ipip", 4), Tunnel("gre", 1),
     Tunnel(""), Tunnel("x" * 33), Tunnel("\x1b[2J")],
)  # fmt: skip
def test_a_tunnel_that_there_is_not_is_left_out(tunnel: Tunnel) -> None:
    """And the others are accepted."""
    result = screen(replace(GOOD, tunnels=(tunnel, IPIP)), (), PLACE)
    assert ((IPIP,), 1) == (result.assignment.tunnels, len(result.refusals))


def test_numbers_are_bounded() -> None:
    """The first ones are carried out, and what is left out is counted."""
    tunnels = tuple(Tunnel(f"t{number}") for number in range(MAX_TUNNELS + 3))
    ends = tuple(replace(END, tunnel=f"t{n}", link=f"t{n}") for n in range(MAX_TUNNEL_ENDS + 4))
    result = screen(replace(GOOD, vips=vips(MAX_VIPS + 2), tunnels=tunnels), (), PLACE)
    assert vips(MAX_VIPS) == result.assignment.vips
    assert tunnels[:MAX_TUNNELS] == result.assignment.tunnels
    assert [True, True] == [
        f"leaves out {count}" in fault.detail
        for count, fault in zip((2, 3), result.refusals, strict=True)
    ]
    result = screen(replace(GOOD, tunnel_ends=ends), (), PLACE)
    assert ends[:MAX_TUNNEL_ENDS] == result.assignment.tunnel_ends
    assert "leaves out 4 point-to-point tunnels" in result.refusals[0].detail


def test_vips_of_other_farms_count() -> None:
    """Whoever changes its farm again and again cannot fill a host."""
    others = [Assignment("f2", "rs2", vips(MAX_VIPS - 1), (IPIP,))]
    new = replace(GOOD, vips=(*vips(2, "10.9.0.1"), *vips(5)))
    assert new.vips[:1] == screen(new, others, PLACE).assignment.vips[:1]
    assert 1 + 5 == len(screen(new, others, PLACE).assignment.vips)


@pytest.mark.parametrize(
    "changes",
    [
        {"tunnel": ""}, {"tunnel": "x" * 64}, {"tunnel": "a\nb"},
        {"addresses": (ip_interface("10.0.0.1/32"),) * 17}, {"peers": vips(17)},
    ],
)  # fmt: skip
def test_an_end_that_cannot_be_told_of_is_left_out(changes: dict[str, object]) -> None:
    """Others are judged where they are made, and told with their state."""
    result = screen(replace(GOOD, tunnel_ends=(replace(END, **changes), END)), (), PLACE)
    assert ((END,), 1) == (result.assignment.tunnel_ends, len(result.refusals))


@pytest.mark.parametrize(
    ("new", "pointer"),
    [
        (replace(GOOD, agent="rs3"), "/agent"),
        (replace(GOOD, farm_id=UNKNOWN_FARM), "/farm_id"),
        (replace(GOOD, farm_id="f" * (MAX_FARM_ID + 1)), "/farm_id"),
        (replace(GOOD, farm_id="f\n1"), "/farm_id"),
        (replace(GOOD, farm_id="one too many"), "/farm_id"),
    ],
)
def test_what_cannot_be_told_from_others_is_refused(new: Assignment, pointer: str) -> None:
    """As a whole, with the place in the document; a farm that is there already is not too many."""
    held = Assignments(tuple(replace(GOOD, farm_id=f"f{number}") for number in range(MAX_FARMS)))
    with pytest.raises(InvalidInput) as refusal:
        check_identity(new, "rs2", held)
    assert [pointer] == [problem.pointer for problem in refusal.value.problems]
    check_identity(GOOD, "rs2", held)


# Addresses that are somebody's

RIP = IPv4Address("192.0.2.11")
PRESENT = [
    AddressKey("lo", ip_interface("127.0.0.1/8")),
    AddressKey("lo", ip_interface("198.51.100.77/24")),
    AddressKey("eth0", ip_interface("192.0.2.11/24")),
    AddressKey("eth0", ip_interface("192.0.2.99/32")),
    AddressKey("eth1", ip_interface("2001:db8:1::11/64")),
]
TAKEN = addresses_in_use(PRESENT, [("eth0", IPv4Address("192.0.2.1"))], [IPv4Address("192.0.2.10")])


@pytest.mark.parametrize(
    ("vip", "whose"),
    [
        ("192.0.2.11", "to which directors send tunnelled packets"),
        ("2001:db8:1::11", "this host (eth1)"),
        ("192.0.2.1", "the gateway on eth0"),
        ("192.0.2.10", "a director of this agent"),
        ("192.0.2.255", "every host of 192.0.2.0/24 on eth0"),
        ("192.0.2.0", "every host of 192.0.2.0/24 on eth0"),
    ],
)
def test_an_address_of_somebody_is_no_vip(vip: str, whose: str) -> None:
    """But one that is served already stays: name servers and routers may lie."""
    address = ip_address(vip)
    fault = conflicting_vips([address, VIP], HostAddresses(RIP, TAKEN, frozenset()), PLACE)
    assert [address] == [*fault]
    assert whose in fault[address].detail
    served = conflicting_vips([address], HostAddresses(RIP, TAKEN, frozenset({address})), PLACE)
    assert ([address] if address == RIP else []) == [*served]


@pytest.mark.parametrize("vip", ["192.0.2.99", "198.51.100.77", "192.0.2.100", "2001:db8:1::12"])
def test_one_that_stands_alone_or_is_nobodys_may_be_a_vip(vip: str) -> None:
    """As may one on lo."""
    host = HostAddresses(RIP, TAKEN, frozenset())
    assert {} == conflicting_vips([ip_address(vip)], host, PLACE)
    assert not isinstance(ip_address(vip), IPv6Address) or ip_address(vip) not in TAKEN
