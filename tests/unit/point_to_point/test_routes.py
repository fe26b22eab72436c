"""A tunnel takes nobody's packets, and its own do not come back to it."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lvsctl.host.interface import MAIN_TABLE, AddressKey, LinkConfig, RouteConfig, RouteKey
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.point_to_point.routes import HostView, captured_traffic, routing_loops

END = TunnelEnd(
    tunnel="c2d",
    link="c2d",
    mode=TunnelMode.GRE,
    local=ip_address("192.0.2.11"),
    remote=ip_address("203.0.113.12"),
    addresses=(ip_interface("192.168.2.1/24"),),
)


Routes = Mapping[RouteKey, RouteConfig]


def route(destination: str, link: str | None, gateway: str | None = None) -> Routes:
    via = ip_address(gateway) if gateway else None
    return {RouteKey(MAIN_TABLE, ip_network(destination)): RouteConfig(link, via)}


DEFAULTS = {**route("0.0.0.0/0", "eth0", "192.0.2.1"), **route("::/0", "eth0", "2001:db8::1")}
HOST = HostView(
    {"lo": LinkConfig("", up=True), "eth0": LinkConfig("", up=True)},
    (AddressKey("eth0", ip_interface("192.0.2.11/24")),),
    {
        **DEFAULTS,
        **route("192.0.2.0/24", "eth0"),
        **route("10.20.0.0/16", "eth0", "192.0.2.2"),
        **route("172.20.0.0/24", None),
    },
    {ip_address("10.99.0.10"): "a director of this agent"},
)


def inside(*addresses: str) -> TunnelEnd:
    return replace(END, addresses=tuple(map(ip_interface, addresses)))


@pytest.mark.parametrize(
    "address",
    ["192.168.2.1/24", "10.1.0.1/16", "10.21.0.1/24", "172.16.0.1/30", "100.64.0.1/24",
     "fd00:1::1/64", "203.0.113.1/30", "198.18.0.1/31", "8.8.8.8/32", "2001:db8:9::1/126"],
)  # fmt: skip
def test_a_network_of_its_own_is_fine(address: str) -> None:
    """Private, or of two hosts."""
    assert [] == [*captured_traffic(inside(address), HOST), *routing_loops(inside(address), HOST)]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("203.0.113.129/25", "clients' packets from the route 0.0.0.0/0 by eth0"),
        ("2001:db8:9::1/64", "clients' packets from the route ::/0 by eth0"),
        ("10.20.5.1/24", "packets of the route 10.20.0.0/16 by eth0"),
        ("172.20.0.128/30", "packets of the route 172.20.0.0/24 by unicast"),
        ("10.99.0.9/30", "packets to 10.99.0.10, a director of this agent"),
    ],
)
def test_a_network_of_others_is_refused(address: str, why: str) -> None:
    """With whose packets it would take, and the place in the document."""
    problems = list(captured_traffic(inside("192.168.7.1/24", address), HOST))
    assert {"/addresses/1"} == {problem.pointer for problem in problems}
    assert any(why in problem.detail for problem in problems)


def test_public_networks_are_fine_without_a_default_route() -> None:
    """Nobody's packets go there."""
    host = replace(HOST, routes={})
    assert [] == list(captured_traffic(inside("203.0.113.129/25", "2001:db8:9::1/64"), host))


def test_its_own_routes_are_not_others() -> None:
    """When an end is changed, what is there for it already does not stand in its way."""
    host = replace(HOST, routes={**route("192.168.2.0/24", "c2d")})
    assert [] == list(captured_traffic(inside("192.168.2.1/25"), host))


def tunnel(remote: str, underlay: str | None = None) -> LinkConfig:
    return LinkConfig("gre", up=True, remote=ip_address(remote), underlay=underlay)


def test_another_tunnels_packets_are_not_taken() -> None:
    """Its other end must stay where it is."""
    host = replace(HOST, links={**HOST.links, "old": tunnel("192.168.5.9")}, routes={})
    (problem,) = captured_traffic(inside("192.168.5.1/24"), host)
    assert "the packets of tunnel old to 192.168.5.9" in problem.detail


@pytest.mark.parametrize(
    ("links", "routes", "end"),
    [
        ({}, route("203.0.113.12/32", "c2d"), END),
        (
            {"old": tunnel("192.168.2.9")},
            route("203.0.113.12/32", "old"),
            END,
        ),
        (
            {"old": tunnel("198.51.100.9", underlay="c2d")},
            route("203.0.113.12/32", "old"),
            END,
        ),
        ({"old": tunnel("198.51.100.9", underlay="c2d")}, {}, replace(END, device="old")),
        (
            {"one": tunnel("198.51.100.1"), "two": tunnel("198.51.100.2")},
            {
                **route("203.0.113.12/32", "one"),
                **route("198.51.100.1/32", "two"),
                **route("198.51.100.2/32", "one"),
            },
            END,
        ),
    ],
    ids=["itself", "inner network", "underlay", "device", "others among themselves"],
)
def test_packets_that_would_go_round_are_refused(
    links: Mapping[str, LinkConfig], routes: Routes, end: TunnelEnd
) -> None:
    """Through the device itself or through others."""
    host = replace(HOST, links={**HOST.links, **links}, routes={**DEFAULTS, **routes})
    (problem,) = routing_loops(end, host)
    assert ("/remote", True) == (problem.pointer, "would loop" in problem.detail)


def test_a_tunnel_in_a_tunnel_is_fine() -> None:
    """Where the outer one leads out of the host."""
    links = {**HOST.links, "old": tunnel("203.0.113.99")}
    host = replace(HOST, links=links, routes={**DEFAULTS, **route("203.0.113.12/32", "old")})
    assert [] == list(routing_loops(END, host))


def test_no_way_at_all_is_no_loop() -> None:
    """It is told as what it is once the tunnel is there."""
    assert [] == list(routing_loops(END, replace(HOST, routes={})))
