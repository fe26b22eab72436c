"""A farm set up by hand for probes through the tunnel: ipip, and a mark for each real server."""

import contextlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

from deploy.lab.application import HTTP_PORT
from deploy.lab.network import Network
from deploy.lab.topology import vip
from lvsctl.farm.model import Settings
from lvsctl.health.marks import TunnelPath, assign_marks, mark_table
from lvsctl.health.target import Target
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import Encapsulation
from lvsctl.net import Family
from lvsctl.results import Done

VIP = vip(10)
_ON_A_SERVER = {
    "all.arp_ignore": 1,
    "all.arp_announce": 2,
    "all.rp_filter": 0,
    "tunl0.rp_filter": 0,
}


def mark_servers(network: Network, servers: Collection[str]) -> Mapping[str, Target]:
    """Set up servers with the VIP, and lb1 with a mark for each; return whom their probes ask."""
    for name in servers:
        for parameter, value in _ON_A_SERVER.items():
            network[name].write_sysctl(f"net.ipv4.conf.{parameter}", value)
        network[name].set_link("tunl0", up=True)
        network[name].add_address("tunl0", f"{VIP}/32")
    lb1, settings = network["lb1"], Settings()
    lb1.add_address("lo", f"{VIP}/32")
    lb1.write_sysctl("net.ipv4.conf.eth0.accept_local", 1)
    lb1.write_sysctl("net.ipv4.ip_local_reserved_ports", settings.probe_ports)
    paths = {
        name: TunnelPath(Family.IPV4, ip_address(network.address(name)), Encapsulation())
        for name in servers
    }
    marks = assign_marks(
        paths.values(),
        {},
        marks=settings.probe_marks,
        ports=settings.probe_ports,
        foreign_keys=(),
        now=datetime.now(UTC),
    )
    wanted = mark_table(marks)
    with lb1.enter(), contextlib.closing(NetlinkIpvs()) as ipvs:
        assert {Done()} == set(ipvs.apply(diff(wanted, {}, wanted.keys()).operations))
    dip = ip_address(network.address("lb1"))
    return {
        name: Target(ip_address(VIP), HTTP_PORT, dip, marks[path].port, marks[path].mark)
        for name, path in paths.items()
    }
