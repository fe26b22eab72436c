"""Tunnels that each would do, and together cannot."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsctl.farm.model import Farm, Pool, PoolTunnel, RealServer, Service
from lvsctl.farm.rules.tunnels import broken_tunnel_rules
from lvsctl.farm.status import Agent, Readiness
from lvsctl.ipvs.table import TunnelType
from lvsctl.messages.model import Membership
from lvsctl.net import IpProtocol

VIP, RIP = ip_address("198.51.100.10"), ip_address("192.0.2.11")
GRE, SUMMED = PoolTunnel(TunnelType.GRE), PoolTunnel(TunnelType.GRE, checksum=True)
GUE = PoolTunnel(TunnelType.GUE, 6080)
RS1 = RealServer("rs1", RIP)
AGENT = Agent("rs1", RIP, ("one",), 100)


def farm(*pools: Pool, services: tuple[Service, ...] = ()) -> Farm:
    """Return a farm of pools."""
    return Farm({service.name: service for service in services}, {p.name: p for p in pools})


def refused(of: Farm, *agents: Agent) -> list[tuple[str, str]]:
    """Return where a farm is refused: the object and the pointer."""
    return [(str(broken), problem.pointer) for broken, problem in broken_tunnel_rules(of, agents)]


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        (Pool("two", SUMMED, (RS1,)), "/tunnel/checksum"),
        (Pool("two", GUE, (replace(RS1, tunnel=SUMMED),)), "/real_servers/0/tunnel/checksum"),
    ],
)
def test_a_host_takes_one_sort_of_gre(other: Pool, pointer: str) -> None:
    """Whether its pool or the server itself has the tunnel."""
    assert [("pool two", pointer)] == refused(farm(Pool("one", GRE, (RS1,)), other))


def test_hosts_take_what_they_can() -> None:
    """The same sort twice, the other sort elsewhere, another tunnel beside it."""
    elsewhere = replace(RS1, address=ip_address("192.0.2.12"))
    pools = [
        Pool("one", GRE, (RS1,)),
        Pool("two", GRE, (RS1,)),
        Pool("three", SUMMED, (elsewhere,)),
        Pool("four", GUE, (RS1,)),
    ]
    assert [] == refused(farm(*pools))


def test_an_agent_in_two_pools_takes_one_sort_of_gre() -> None:
    """It is refused at the pool that comes second."""
    pools = (Pool("one", GRE), Pool("two", SUMMED))
    agent = replace(AGENT, pools=("one", "two"))
    assert [("pool two", "/tunnel/checksum")] == refused(farm(*pools), agent)
    assert [] == refused(farm(*pools), replace(agent, membership=Membership.LEFT))


@pytest.mark.parametrize(("before", "after"), [(GRE, SUMMED), (SUMMED, GRE)])
def test_a_live_pool_does_not_change_its_sort_of_gre(before: PoolTunnel, after: PoolTunnel) -> None:
    """Its agent could not take the new one while the old one still arrives; gue is a way round."""
    agent = replace(AGENT, ready=frozenset({Readiness(VIP, before.encapsulation)}))
    assert [("pool one", "/tunnel/checksum")] == refused(farm(Pool("one", after)), agent)
    assert [] == refused(farm(Pool("one", before)), agent)
    assert [] == refused(farm(Pool("one", GUE)), agent)
    moved = replace(agent, ready=frozenset({Readiness(VIP, GUE.encapsulation)}))
    assert [] == refused(farm(Pool("one", after)), moved)


@pytest.mark.parametrize(
    ("service", "pointers"),
    [
        (Service("dns", VIP, "one", IpProtocol.UDP, (53, 6080)), [("service dns", "/ports/1")]),
        (Service("dns", VIP, "one", IpProtocol.UDP, (53,)), []),
        (Service("web", VIP, "one", IpProtocol.TCP, (6080,)), []),
    ],
)
def test_a_udp_service_keeps_off_the_port_of_gue(
    service: Service, pointers: list[tuple[str, str]]
) -> None:
    """Its packets would be unwrapped once more, at the real server."""
    assert pointers == refused(farm(Pool("one", GUE), services=(service,)))
    by_server = Pool("one", real_servers=(replace(RS1, tunnel=GUE),))
    assert pointers == refused(farm(by_server, services=(service,)))
