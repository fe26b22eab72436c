"""A farm over each tunnel and family becomes exactly that table, whichever way it is written."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address

import pytest

from deploy.lab.node import Node
from lvsctl.farm.compile import compile_farm
from lvsctl.farm.model import Farm, Pool, PoolTunnel, RealServer, Service
from lvsctl.farm.rules.farm import broken_rules
from lvsctl.farm.status import Status
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import EditDestination, Persistence, TunnelType
from lvsctl.results import Done

TUNNELS = {
    "ipip": PoolTunnel(),
    "gre": PoolTunnel(TunnelType.GRE),
    "gre+checksum": PoolTunnel(TunnelType.GRE, checksum=True),
    "gue:6080": PoolTunnel(TunnelType.GUE, 6080),
    "gue:6081+checksum": PoolTunnel(TunnelType.GUE, 6081, checksum=True),
}
AS_IPVSADM_SAYS = {
    "ipip": " --tun-type ipip",
    "gre": " --tun-type gre",
    "gre+checksum": " --tun-type gre --tun-csum",
    "gue:6080": " --tun-type gue --tun-port 6080",
    "gue:6081+checksum": " --tun-type gue --tun-port 6081 --tun-csum",
}
VIPS = {4: "198.51.100.10", 6: "2001:db8:51::10"}
RIPS = {4: "192.0.2.11", 6: "2001:db8:2::11"}


@pytest.fixture
def lb1(node: Callable[[str], Node]) -> Iterator[Node]:
    made = node("lb1")
    with made.enter():
        yield made


@pytest.fixture
def netlink(lb1: Node) -> Iterator[NetlinkIpvs]:  # noqa: ARG001 - the test is on it
    with closing(NetlinkIpvs()) as opened:
        yield opened


@pytest.fixture(params=["netlink", "ipvsadm"])
def ipvs(request: pytest.FixtureRequest, netlink: NetlinkIpvs) -> Ipvs:
    return netlink if request.param == "netlink" else IpvsadmIpvs()


def host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def rules() -> list[str]:
    """Return the kernel's table in ipvsadm's own words, without what is the default."""
    saved = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=True)
    return [line.replace(" --tun-nocsum", "").strip() for line in saved.stdout.splitlines()]


def farm(service: Service, tunnel: PoolTunnel, *addresses: str) -> Farm:
    servers = tuple(
        RealServer(f"rs{number}", ip_address(address))
        for number, address in enumerate(addresses, start=1)
    )
    made = Farm({service.name: service}, {"web": Pool("web", tunnel, servers)})
    assert [] == list(broken_rules(made, {}))
    return made


def make(ipvs: Ipvs, made: Farm) -> None:
    """Make the table what a farm stands for, and see that nothing is left to do."""
    wanted = compile_farm(made, Status())
    observed = ipvs.snapshot()
    operations = diff(wanted, observed, wanted.keys()).operations
    assert {Done()} == set(ipvs.apply(operations))
    assert wanted == ipvs.snapshot()


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_each_tunnel_carries_each_family_in_each(ipvs: Ipvs, tunnel: str) -> None:
    """The kernel takes all combinations, as they were asked for."""
    for vip, rip in itertools.product(VIPS.values(), RIPS.values()):
        web = Service("web", ip_address(vip), "web", ports=(80,), scheduler="rr")

        make(ipvs, farm(web, TUNNELS[tunnel], rip))

        service = f"-t {host(vip)}:80"
        assert [
            f"-A {service} -s rr",
            f"-a {service} -r {host(rip)}:80 -i -w 100{AS_IPVSADM_SAYS[tunnel]}",
        ] == rules()
        subprocess.run(["ipvsadm", "-C"], check=True)


def test_an_ipv6_mark_has_servers_of_both_families(ipvs: Ipvs) -> None:
    """With persistence of single clients where no netmask is named, here of networks."""
    marked = Service(
        "web",
        ip_address(VIPS[6]),
        "web",
        protocol=None,
        fwmark=7,
        scheduler="rr",
        persistence=Persistence(300, 64),
    )

    make(ipvs, farm(marked, PoolTunnel(TunnelType.GUE, 6080), RIPS[4], RIPS[6]))

    assert [
        "-A -f 7 -6 -s rr -p 300 -M 64",
        *(
            f"-a -f 7 -6 -r {host(address)}:0 -i -w 100 --tun-type gue --tun-port 6080"
            for address in (RIPS[4], RIPS[6])
        ),
    ] == rules()


def test_a_pool_goes_through_all_tunnels_in_place(ipvs: Ipvs, netlink: NetlinkIpvs) -> None:
    """Each change is one edit for each destination; nothing is taken out."""
    web = Service("web", ip_address(VIPS[4]), "web", ports=(80,), scheduler="rr")
    made = farm(web, PoolTunnel(), RIPS[4], RIPS[6])
    make(ipvs, made)
    for name in [*list(TUNNELS)[1:], "ipip"]:
        pool = replace(made.pools["web"], tunnel=TUNNELS[name])
        made = replace(made, pools={"web": pool})
        wanted = compile_farm(made, Status())
        operations = diff(wanted, netlink.snapshot(), wanted.keys()).operations
        assert all(isinstance(operation, EditDestination) for operation in operations)
        make(ipvs, made)
        assert wanted == netlink.snapshot()
