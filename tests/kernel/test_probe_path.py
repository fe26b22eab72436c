"""Probes through the tunnel, by packets: each reaches its own real server, and disturbs nobody.

The sockets are plain ones that carry what a probe's carries. Director and agents are real; the
virtual services of the marks are written beside the director's.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.lab.application import ECHO_PORT, HTTP_PORT, Application, start_application
from deploy.lab.client import requests
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip, vip6
from lvsctl.farm.model import PoolTunnel, Settings
from lvsctl.health.marks import TunnelPath, assign_marks, mark_table
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import family_of
from lvsctl.results import Done
from tests.kernel.farms import farm, ready_agents, service
from tests.kernel.probes import ANSWERS_WITHIN_S, SILENT_FOR_S, Probe

SERVERS = ("rs1", "rs2")
TUNNELS = {
    "ipip": PoolTunnel(),
    "gre": PoolTunnel(TunnelType.GRE),
    "gue": PoolTunnel(TunnelType.GUE, 6080),
}
VIPS = {name: (vip(n), vip6(n)) for n, name in enumerate(TUNNELS, 10)}
ROUNDS = 5


def serve(network: Network, state: Path, version: int) -> FarmDaemons:
    """Start a farm with a pool for each tunnel, on VIPs of both families."""
    daemons = FarmDaemons(network, state)
    daemons.start_director()
    pools: list[Json] = [
        {"name": name, "tunnel": {"type": str(tunnel.type)}} for name, tunnel in TUNNELS.items()
    ]
    services = [
        service(
            f"{name}-{protocol}-{number}", vip=address, pool=name, ports=[port], protocol=protocol
        )
        for name, addresses in VIPS.items()
        for number, address in enumerate(addresses)
        for protocol, port in (("tcp", HTTP_PORT), ("udp", ECHO_PORT))
    ]
    daemons.api.put("/v1/farm?wait=10", farm(services, pools))
    vips = tuple(address for addresses in VIPS.values() for address in addresses)
    for server in SERVERS:
        start_application(network[server], Application(server, udp_addresses=vips))
        address = ip_address(network.address(server, version))
        daemons.start_agent(server, tuple(TUNNELS), address=address)
    poll(lambda: ready_agents(daemons), 60, until=lambda ready: ready == set(SERVERS))
    poll(lambda: _all_served(daemons), 30)
    return daemons


def _all_served(daemons: FarmDaemons) -> bool:
    services = daemons.api.get("/v1/services")["services"]
    return all(
        len(each["status"]["destinations"]) == len(SERVERS)
        and all(part["weight"] for part in each["status"]["destinations"])
        for each in services  # type: ignore[attr-defined]
    )


def mark(network: Network, version: int) -> Sequence[Probe]:
    """Write the mark services of all probes, and let their answers in."""
    director = network["lb1"]
    paths = {
        TunnelPath(
            family_of(ip_address(address)),
            ip_address(network.address(server, version)),
            tunnel.encapsulation,
        ): (server, address)
        for name, tunnel in TUNNELS.items()
        for address in VIPS[name]
        for server in SERVERS
    }
    ranges = Settings()
    director.write_sysctl("net.ipv4.conf.eth0.accept_local", "1")
    director.write_sysctl("net.ipv4.ip_local_reserved_ports", str(ranges.probe_ports))
    with director.enter(), contextlib.closing(NetlinkIpvs()) as ipvs:
        marks = assign_marks(
            paths,
            {},
            marks=ranges.probe_marks,
            ports=ranges.probe_ports,
            foreign_keys=(),
            now=datetime.now(UTC),
        )
        wanted = mark_table(marks)
        assert {Done()} == set(ipvs.apply(diff(wanted, {}, wanted.keys()).operations))
        assert wanted == ipvs.snapshot(wanted.keys())
    return [
        Probe(
            server,
            director,
            address,
            network.address("lb1", 6 if ":" in address else 4),
            marks[path].port,
            marks[path].mark,
        )
        for path, (server, address) in paths.items()
    ]


@contextlib.contextmanager
def dead(server: Node) -> Iterator[None]:
    """Have a real server drop all that is for its VIPs, as one that hangs would."""
    drops = [
        ("ip6tables-legacy" if ":" in address else "iptables-legacy", address)
        for addresses in VIPS.values()
        for address in addresses
    ]
    for program, address in drops:
        server.run([program, "-A", "INPUT", "-d", address, "-j", "DROP"])
    yield
    for program, address in drops:
        server.run([program, "-D", "INPUT", "-d", address, "-j", "DROP"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [4, 6], ids=["RIP4", "RIP6"])
def test_each_probe_reaches_its_own_server(
    network: BuildNetwork, tmp_path: Path, version: int
) -> None:
    """Over each tunnel, for VIPs of both families, while clients are spread as ever."""
    built = network(farm_topology(real_servers=2, client_on_link=False, vips_on_link=False))
    serve(built, tmp_path, version)
    probes = mark(built, version)

    clients: Counter[tuple[str, str]] = Counter()
    wrong = []
    for _ in range(ROUNDS):
        for probe in probes:
            # One request before each probe: were probes balanced too, one server had them all.
            (answer,) = requests(built["c1"], probe.vip)
            clients[probe.vip, str(answer.server or answer.error)] += 1
            said = (probe.over_tcp(), probe.over_udp())
            if said != (probe.server, probe.server):
                wrong.append((probe, said))

    assert [] == wrong
    even = {(probe.vip, server): ROUNDS for probe in probes for server in SERVERS}
    assert even == dict(clients)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [4, 6], ids=["RIP4", "RIP6"])
def test_a_dead_server_is_seen_as_dead_and_no_other(
    network: BuildNetwork, tmp_path: Path, version: int
) -> None:
    """Its own probes time out, the other's are right all the while; back, it is seen at once.

    The director has next to no ephemeral ports meanwhile.
    """
    built = network(farm_topology(real_servers=2))
    serve(built, tmp_path, version)
    probes = mark(built, version)
    # Fewer than there are probes: none may come from the kernel's choice.
    built["lb1"].write_sysctl("net.ipv4.ip_local_port_range", "60000 60003")

    with dead(built["rs2"]):
        found = {
            (probe.server, said)
            for _ in range(2)
            for probe in probes
            for within_s in [SILENT_FOR_S if probe.server == "rs2" else ANSWERS_WITHIN_S]
            for said in (probe.over_tcp(within_s), probe.over_udp(within_s))
        }
    assert {("rs1", "rs1"), ("rs2", "TimeoutError")} == found
    assert {("rs1", "rs1"), ("rs2", "rs2")} == {
        (probe.server, said) for probe in probes for said in (probe.over_tcp(), probe.over_udp())
    }


def test_a_shared_source_port_would_be_swallowed(network: BuildNetwork, tmp_path: Path) -> None:
    """Why each has its own: the entry of a dead server's probe takes the other's, mark or not."""
    built = network(farm_topology(real_servers=2))
    serve(built, tmp_path, 4)
    of_rs1, of_rs2 = (probe for probe in mark(built, 4) if probe.vip == vip(10))
    at_the_same_port = Probe(
        of_rs1.server, of_rs1.director, of_rs1.vip, of_rs1.source, of_rs2.port, of_rs1.mark
    )

    with dead(built["rs2"]):
        assert "TimeoutError" == of_rs2.over_tcp(SILENT_FOR_S)
        assert ("rs1", "TimeoutError") == (of_rs1.over_tcp(), at_the_same_port.over_tcp(1.0))
    assert ("rs2", "rs2") == (of_rs2.over_udp(), at_the_same_port.over_udp())
