"""Probes on a network: what comes back from it is about the server, what fails at home is not."""

import asyncio
from ipaddress import ip_address

import pytest

from deploy.lab.application import HTTP_PORT, Application, start_application
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.topology import farm_topology
from lvsctl.farm.checks import HttpRequest, TcpRequest, UdpRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.target import Target
from lvsctl.reasons.probes import CANNOT_PROBE, REFUSED, TIMED_OUT, UNREACHABLE
from lvsctl.reasons.reason import Reason

PROBES = Probes()
MARK = 0x4C560001
Asked = TcpRequest | HttpRequest | UdpRequest


def ask(node: Node, *targets: Target, request: Asked, timeout_s: float = 20) -> list[Outcome]:
    """Probe all of these from a node, at once."""

    async def probes() -> list[Outcome]:
        return await asyncio.gather(
            *(PROBES.probe(request, target, timeout_s) for target in targets)
        )

    with node.enter():
        return asyncio.run(probes())


def server(network: Network, version: int = 4, **bound: int) -> Target:
    """Return rs1's HTTP, asked from the director's own address."""
    source, address = (
        ip_address(network.address(name, version) if version == 6 else network.address(name))
        for name in ("lb1", "rs1")
    )
    return Target(address, HTTP_PORT, source, **bound)


@pytest.mark.parametrize("version", [4, 6])
def test_a_probe_carries_its_mark(network: BuildNetwork, version: int) -> None:
    """A rule for the mark sends it nowhere; without the mark it arrives."""
    farm = network(farm_topology(real_servers=1))
    start_application(farm["rs1"], Application("rs1"))
    lb1 = farm["lb1"]
    ip = ["ip", f"-{version}"]
    lb1.run([*ip, "rule", "add", "fwmark", f"{MARK:#x}", "lookup", "100"])
    lb1.run([*ip, "route", "add", "unreachable", "default", "table", "100"])
    marked, plain = server(farm, version, mark=MARK), server(farm, version)
    for request in HttpRequest(), UdpRequest(b"x"):
        [outcome] = ask(lb1, marked, request=request)
        assert isinstance(outcome, Inconclusive), outcome
        assert (CANNOT_PROBE, "No route to host") == (
            outcome.reason.kind,
            outcome.reason.values["error"],
        ), outcome
    assert [Passed] == [type(outcome) for outcome in ask(lb1, plain, request=HttpRequest())]


def test_a_probe_comes_from_its_port_again_and_again(network: BuildNetwork) -> None:
    """However the last connection from there ended."""
    farm = network(farm_topology(real_servers=1))
    lb1, bound = farm["lb1"], server(farm, source_port=61000)
    [refused] = ask(lb1, bound, request=HttpRequest())
    assert isinstance(refused, ProbeFailed)
    assert REFUSED("192.0.2.11:80") == refused.reason
    start_application(farm["rs1"], Application("rs1"))
    for _ in range(20):
        [outcome] = ask(lb1, bound, request=HttpRequest())
        assert isinstance(outcome, Passed), outcome


def test_a_server_that_is_gone_cannot_be_reached(network: BuildNetwork) -> None:
    """On the link, where nobody answers for its address, and behind a router that says so."""
    farm = network(farm_topology(real_servers=1, far_real_servers=1))
    for name in "rs1", "rs2":
        farm[name].set_link("eth0", up=False)
    targets = [Target(ip_address(farm.address(name)), 80) for name in ("rs1", "rs2")]
    outcomes = ask(farm["lb1"], *targets, request=TcpRequest())
    found = [
        (outcome.reason, outcome.silent) for outcome in outcomes if isinstance(outcome, ProbeFailed)
    ]
    reasons = [UNREACHABLE(f"{each.address}:80", error="No route to host") for each in targets]
    assert [(reason, True) for reason in reasons] == found


@pytest.mark.parametrize(
    ("version", "expected"),
    [(4, UNREACHABLE("203.0.113.12:80", error="No route to host")),
     (6, UNREACHABLE("[2001:db8:113::12]:80", error="Permission denied"))],
)  # fmt: skip
def test_a_server_behind_a_firewall_that_refuses_cannot_be_reached(
    network: BuildNetwork, version: int, expected: Reason
) -> None:
    """A router says that it is prohibited: that is about the server, not about the director."""
    farm = network(farm_topology(real_servers=1, far_real_servers=1))
    server = farm.address("rs2", version)
    farm["r1"].run(["ip", f"-{version}", "route", "add", "prohibit", server])
    for request in TcpRequest(), UdpRequest(b"x"):
        [outcome] = ask(farm["lb1"], Target(ip_address(server), HTTP_PORT), request=request)
        assert isinstance(outcome, ProbeFailed), outcome
        assert expected == outcome.reason


def test_a_network_without_a_route_says_nothing_of_a_server(network: BuildNetwork) -> None:
    """It is the director's own route that is missing."""
    farm = network(farm_topology(real_servers=1, far_real_servers=1))
    far = Target(ip_address(farm.address("rs2")), 80)
    farm["lb1"].run(["ip", "route", "del", "default"])
    for request in TcpRequest(), UdpRequest(b"x"):
        expected = Inconclusive(CANNOT_PROBE(f"{far.address}:80", error="Network is unreachable"))
        assert [expected] == ask(farm["lb1"], far, request=request)


def test_dead_servers_do_not_use_up_the_ports(network: BuildNetwork) -> None:
    """With 64 ephemeral ports, 150 servers of which nothing is heard, and one that answers."""
    farm = network(farm_topology(real_servers=1))
    start_application(farm["rs1"], Application("rs1"))
    lb1, alive = farm["lb1"], server(farm)
    lb1.write_sysctl("net.ipv4.ip_local_port_range", "61000 61063")
    dead = [
        Target(ip_address("192.0.2.30") + number, HTTP_PORT, alive.source) for number in range(150)
    ]
    outcomes = ask(lb1, *dead, alive, request=HttpRequest(), timeout_s=2)
    assert isinstance(outcomes.pop(), Passed)
    reasons = {
        (outcome.reason.kind, outcome.reason.values["awaited"])
        for outcome in outcomes
        if isinstance(outcome, ProbeFailed)
    }
    assert {(TIMED_OUT, "the connection")} == reasons
    assert 150 == sum(isinstance(outcome, ProbeFailed) for outcome in outcomes)
