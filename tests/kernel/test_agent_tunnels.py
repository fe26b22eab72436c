"""Every tunnel and family, as the agent's code sets it up on a real host; seen by packets."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import requests, served_by
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.packets import Packet, Tcp, TcpFlag
from deploy.lab.topology import farm_topology, vip, vip6
from lvsctl.agent.real_server import HostStatus
from lvsctl.host.receivers import encapsulation
from lvsctl.messages.model import Tunnel
from lvsctl.net import family_of
from lvsctl.packet_size import mss, overhead
from tests.kernel.agent_hosts import IPIP, assigned, differences, dump, real_server

GRE, GRE_CHECKSUM = Tunnel("gre"), Tunnel("gre", checksum=True)
GUE, GUE_CHECKSUM = Tunnel("gue", port=6080), Tunnel("gue", port=6080, checksum=True)
ETHERNET = 1500
VIPS = {4: vip(10), 6: vip6(10)}
SERVERS = ("rs1", "rs2")

IPVSADM = {
    IPIP: "-i",
    GRE: "-i --tun-type gre",
    GRE_CHECKSUM: "-i --tun-type gre --tun-csum",
    GUE: "-i --tun-type gue --tun-port 6080",
    GUE_CHECKSUM: "-i --tun-type gue --tun-port 6080 --tun-csum",
}

Version = Literal[4, 6]


@dataclass(frozen=True)
class Case:
    """One combination of tunnel, family of the VIP and of the real servers' addresses."""

    tunnel: Tunnel
    vip: Version
    rip: Version

    @property
    def overhead(self) -> int:
        return overhead(encapsulation(self.tunnel), family_of(ip_address(VIPS[self.rip])))

    def mss(self, mtu: int = ETHERNET) -> int:
        return mss(mtu - self.overhead, family_of(ip_address(VIPS[self.vip])))

    def __str__(self) -> str:
        checksum = "+checksum" if self.tunnel.checksum else ""
        return f"{self.tunnel.type}{checksum}-VIP{self.vip}-RIP{self.rip}"


def directed(farm: Network, case: Case) -> None:
    """Let lb1 spread a VIP over the real servers."""
    director, address = farm["lb1"], VIPS[case.vip]
    director.run(["ip", "link", "add", "lvs0", "type", "dummy"])
    director.set_link("lvs0", up=True)
    prefix = 32 if case.vip == 4 else 128
    director.add_address("lvs0", f"{address}/{prefix}")
    service = f"{address}:80" if case.vip == 4 else f"[{address}]:80"
    rules = [f"-A -t {service} -s rr"]
    for name in SERVERS:
        server = farm.address(name, case.rip)
        real = f"{server}:80" if case.rip == 4 else f"[{server}]:80"
        rules.append(f"-a -t {service} -r {real} {IPVSADM[case.tunnel]}")
    director.run(["ipvsadm", "-R"], input="\n".join(rules) + "\n")


def built(network: BuildNetwork, case: Case) -> Network:
    """Return a farm whose client reaches the VIP by way of r1 and the director."""
    farm = network(farm_topology(real_servers=2, client_on_link=False, vips_on_link=False))
    for name in SERVERS:
        start_application(farm[name], Application(name))
    directed(farm, case)
    return farm


def check(farm: Network, name: str, state: Path, case: Case) -> HostStatus:
    with real_server(farm, name, state / name, family=case.rip) as server:
        return server.check(assigned(name, VIPS[case.vip], tunnels=[case.tunnel]))


def set_up(farm: Network, state: Path, case: Case) -> None:
    for name in SERVERS:
        (state / name).mkdir(exist_ok=True)
        condition = check(farm, name, state, case)
        assert ((ip_address(VIPS[case.vip]),), (case.tunnel,), ()) == (
            condition.ready,
            condition.tunnels,
            condition.findings,
        )


def leave(farm: Network, state: Path, case: Case) -> None:
    for name in SERVERS:
        with real_server(farm, name, state / name, family=case.rip) as server:
            assert () == server.undo()


def announced(packets: list[Packet], address: str) -> set[int | None]:
    """Return the MSS of all SYN-ACKs of an address."""
    return {
        packet.transport.mss
        for packet in packets
        if packet.ip.source == address
        and isinstance(packet.transport, Tcp)
        and TcpFlag.SYN in packet.transport.flags
    }


V4 = Case(IPIP, 4, 4)


def served_mss(farm: Network, address: str) -> set[int | None]:
    """Return the MSS that rs1 announces to a request that it serves."""
    with Capture(farm["rs1"]) as capture:
        assert Counter(rs1=1, rs2=1) == served_by(requests(farm["c1"], address, count=2))
        return announced(capture.packets(outgoing=True), address)


@pytest.mark.parametrize("case", [V4, Case(IPIP, 6, 4)], ids=str)
def test_the_mss_follows_the_routes(network: BuildNetwork, tmp_path: Path, case: Case) -> None:
    """A route's MTU, a device's MTU, a route's own smaller MSS, and a table of others."""
    farm = built(network, case)
    set_up(farm, tmp_path, case)
    rs1, address = farm["rs1"], VIPS[case.vip]
    gateway = farm.address("r1", case.vip)
    route = ["ip", f"-{case.vip}", "route", "replace", "default", "via", gateway, "dev", "eth0"]

    rs1.run([*route, "mtu", "1300"])
    check(farm, "rs1", tmp_path, case)
    assert {case.mss(1300)} == served_mss(farm, address)

    rs1.run([*route, "advmss", "900"])
    check(farm, "rs1", tmp_path, case)
    assert {900} == served_mss(farm, address)

    rs1.run(route)
    rs1.run(["ip", "link", "set", "eth0", "mtu", "1350"])
    check(farm, "rs1", tmp_path, case)
    assert {case.mss(1350)} == served_mss(farm, address)


def test_a_route_that_cannot_be_copied_is_told_and_obeyed(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A default route with two next hops leads answers as before; the finding says so."""
    farm = built(network, V4)
    set_up(farm, tmp_path, V4)
    rs1, gateway = farm["rs1"], farm.address("r1")
    hop = ["nexthop", "via", gateway, "dev", "eth0"]
    rs1.run(["ip", "route", "replace", "default", *hop, *hop])

    condition = check(farm, "rs1", tmp_path, V4)

    assert ["route 0.0.0.0/0"] == [finding.subject for finding in condition.findings]
    assert (ip_address(VIPS[4]),) == condition.ready
    assert {ETHERNET - 40} == served_mss(farm, VIPS[4])


@pytest.mark.parametrize(("of_vip", "rip"), [(6, 4), (4, 6)])
def test_tunnels_change_under_requests(
    network: BuildNetwork, tmp_path: Path, of_vip: Version, rip: Version
) -> None:
    """Old and new are accepted at once, then the new one alone; every request is served."""
    first = Case(IPIP, of_vip, rip)
    farm = built(network, first)
    before = dump(farm["rs1"])
    set_up(farm, tmp_path, first)
    address, client = VIPS[of_vip], farm["c1"]
    service = f"{address}:80" if of_vip == 4 else f"[{address}]:80"
    old = IPIP
    for new in (GRE, GUE, IPIP):
        for name in SERVERS:
            with real_server(farm, name, tmp_path / name, family=rip) as server:
                both = sorted((old, new), key=lambda tunnel: tunnel.type)
                condition = server.check(assigned(name, address, tunnels=both))
                assert (tuple(both), ()) == (condition.tunnels, condition.findings)
        assert Counter(rs1=5, rs2=5) == served_by(requests(client, address, count=10))
        for name in SERVERS:
            real = farm.address(name, rip)
            real = f"{real}:80" if rip == 4 else f"[{real}]:80"
            farm["lb1"].run(["ipvsadm", "-e", "-t", service, "-r", real, *IPVSADM[new].split()])
        assert Counter(rs1=5, rs2=5) == served_by(requests(client, address, count=10))
        for name in SERVERS:
            check(farm, name, tmp_path, Case(new, of_vip, rip))
        assert Counter(rs1=5, rs2=5) == served_by(requests(client, address, count=10))
        old = new
    leave(farm, tmp_path, first)
    assert {} == differences(before, dump(farm["rs1"]))
