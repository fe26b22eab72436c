"""What the reconciler prepares for probes in a real kernel, and what it says when that is broken.

Real servers are set up by hand; the reconciler runs in the test.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.topology import farm_topology
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.director.vips.neighbours import NoNeighbours
from lvsctl.director.vips.placements import open_placements
from lvsctl.farm.checks import HealthCheck, TcpRequest
from lvsctl.farm.model import Pool, RealServer
from lvsctl.health.marks import TunnelPath
from lvsctl.health.path import PreparedPath, TunnelProbe
from lvsctl.host.linux import LinuxHost
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import Encapsulation
from lvsctl.net import Family
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import ReasonKind
from lvsctl.store.memory import MemoryLocalState
from tests.kernel.probes import SILENT_FOR_S, Probe
from tests.unit.director.farms import VIP, pool, state, web

SERVERS = ("rs1", "rs2")
VIP6 = ip_address("2001:db8:51::10")
VIPS = {Family.IPV4: VIP, Family.IPV6: VIP6}
MARK = 0x4C560000


@dataclass
class Prepared:
    """A director whose reconciler is driven by hand, for probes of both servers."""

    network: Network
    reconciler: Reconciler
    desired: State
    family: Family
    found: Mapping[TunnelPath, PreparedPath]

    @property
    def paths(self) -> Mapping[str, TunnelPath]:
        """The way to each server."""
        number = 4 if self.family is Family.IPV4 else 6
        return {
            name: TunnelPath(
                self.family, ip_address(self.network.address(name, number)), Encapsulation()
            )
            for name in SERVERS
        }

    @property
    def director(self) -> Node:
        """The director's host."""
        return self.network["lb1"]

    def cycle(self) -> None:
        """Run a full cycle, which mends what is amiss."""
        with self.director.enter():
            cycle = self.reconciler.cycle(self.desired, None, None)
        assert ((), ()) == (cycle.foreign, cycle.host_problems)
        self.found = cycle.prepared_paths

    def answers(self, within_s: float = 5.0) -> Mapping[str, str]:
        """Return what a probe of each server finds."""
        return {name: self._probe(name).over_tcp(within_s) for name in SERVERS}

    def _probe(self, name: str) -> Probe:
        sent = self.found[self.paths[name]]
        vip = str(VIPS[self.paths[name].family])
        source, mark = str(sent.egress.source), sent.mark
        return Probe(name, self.director, vip, source, mark.port, mark.mark)

    def problem(self, name: str) -> str:
        """Return the code of why the result of a probe would not count; empty if it would."""
        path = self.paths[name]
        sent = self.found[path]
        way = TunnelProbe(path, sent.mark, VIPS[path.family], sent.egress)
        with self.director.enter():
            why = self.reconciler.path_problems(self.desired, [way])[way]
        return why.code if why else ""


def set_up(server: Node) -> None:
    """Make a host a real server of the VIP over ipip."""
    for name, value in {
        "all.arp_ignore": 1,
        "all.arp_announce": 2,
        "all.rp_filter": 0,
        "tunl0.rp_filter": 0,
    }.items():
        server.write_sysctl(f"net.ipv4.conf.{name}", value)
    for device in ("tunl0", "ip6tnl0"):
        server.set_link(device, up=True)
    server.add_address("tunl0", f"{VIP}/32")
    server.add_address("lo", f"{VIP6}/128")
    start_application(server, Application(server.name))


def farm(network: Network) -> State:
    """Return a service and a checked pool for each family."""
    checks = (HealthCheck(TcpRequest()),)
    six = tuple(RealServer(name, ip_address(network.address(name, 6))) for name in SERVERS)
    return state(
        [web(), web(VIP6, name="web6", pool="six")],
        [
            replace(pool(1, 2), health_checks=checks),
            Pool("six", real_servers=six, health_checks=checks),
        ],
    )


@pytest.fixture
def prepared(network: BuildNetwork) -> Iterator[Prepared]:
    built = network(farm_topology(real_servers=2))
    for name in SERVERS:
        set_up(built[name])
    with contextlib.ExitStack() as stack:
        with built["lb1"].enter():
            ipvs = stack.enter_context(contextlib.closing(NetlinkIpvs()))
            host = stack.enter_context(contextlib.closing(LinuxHost()))
            local = MemoryLocalState()
            probes = ProbeServices(ipvs, host, local, lambda: datetime.now(UTC))
            vips = open_placements(host, NoNeighbours(), local)
            reconciler = Reconciler(ipvs, host, vips, probes, local, take_sysctls=False)
        made = Prepared(built, reconciler, farm(built), Family.IPV4, {})
        made.cycle()
        yield made


RIGHT = {name: name for name in SERVERS}


def test_what_is_prepared_leads_each_probe_to_its_server(prepared: Prepared) -> None:
    """With the parameters that it needs, and those that were there kept."""
    assert RIGHT == prepared.answers()
    assert {"rs1": "", "rs2": ""} == {name: prepared.problem(name) for name in SERVERS}
    director = prepared.director
    assert "1" == director.read_sysctl("net.ipv4.conf.eth0.accept_local")
    assert "0" == director.read_sysctl("net.ipv4.conf.all.accept_local")
    assert "61000-64999" == director.read_sysctl("net.ipv4.ip_local_reserved_ports")
    director.write_sysctl("net.ipv4.ip_local_reserved_ports", "8080,9000-9010")
    prepared.cycle()
    assert "8080,9000-9010,61000-64999" == director.read_sysctl("net.ipv4.ip_local_reserved_ports")


def test_ipv6_needs_nothing_else(prepared: Prepared) -> None:
    """Its probes come from the director's own IPv6 address, and are right at once."""
    prepared.family = Family.IPV6
    assert (RIGHT, "") == (prepared.answers(), prepared.problem("rs1"))
    sources = {str(prepared.found[path].egress.source) for path in prepared.paths.values()}
    assert {prepared.network.address("lb1", 6)} == sources


def run(*command: str) -> Callable[[Node], object]:
    return lambda director: director.run([*command])


BROKEN: Mapping[str, tuple[Callable[[Node], object], ReasonKind, str]] = {
    "the table is flushed": (run("ipvsadm", "-C"), reasons.NO_PROBE_SERVICE, ""),
    "the mark's weight is 0": (
        run("ipvsadm", "-e", "-f", str(MARK), "-r", "192.0.2.11", "-i", "-w", "0"),
        reasons.PROBE_SERVICE_DIFFERS,
        "",
    ),
    "accept_local is reset": (
        run("sysctl", "-w", "net.ipv4.conf.eth0.accept_local=0"),
        reasons.ACCEPT_LOCAL_OFF,
        "TimeoutError",
    ),
    "the VIP is gone": (
        run("ip", "address", "del", f"{VIP}/32", "dev", "lvs0"),
        reasons.PROBE_VIP_ABSENT,
        "",
    ),
    "conn_reuse_mode is reset": (
        run("sysctl", "-w", "net.ipv4.vs.conn_reuse_mode=0"),
        reasons.REUSE_MODE,
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_freezes_and_is_mended(prepared: Prepared, name: str) -> None:
    """The reason names it; after one cycle every probe is right and counts again."""
    breaks, reason, answer = BROKEN[name]
    breaks(prepared.director)

    assert reason.code == prepared.problem("rs1")
    if answer:
        assert answer == prepared.answers(SILENT_FOR_S)["rs1"]
    prepared.cycle()
    assert ("", RIGHT) == (prepared.problem("rs1"), prepared.answers())


OTHERS: Mapping[str, tuple[Callable[[Node], object], Callable[[Node], object], ReasonKind, str]] = {
    "the route is a dead end": (
        run("ip", "route", "add", "blackhole", "192.0.2.11/32"),
        run("ip", "route", "del", "blackhole", "192.0.2.11/32"),
        reasons.NO_ROUTE,
        "",
    ),
    "rp_filter is strict": (
        run("sysctl", "-w", "net.ipv4.conf.eth0.rp_filter=1"),
        run("sysctl", "-w", "net.ipv4.conf.eth0.rp_filter=2"),
        reasons.STRICT_RP_FILTER,
        "TimeoutError",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_others_break_freezes_until_they_mend_it(prepared: Prepared, name: str) -> None:
    """No route is set for them, nor a filter relaxed that may be meant; a loose one does well."""
    breaks, mends, reason, answer = OTHERS[name]
    breaks(prepared.director)
    assert reason.code == prepared.problem("rs1")
    if answer:
        assert answer == prepared.answers(SILENT_FOR_S)["rs1"]
    mends(prepared.director)
    assert ("", RIGHT) == (prepared.problem("rs1"), prepared.answers())
