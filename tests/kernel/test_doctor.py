"""lvsctl doctor on real hosts: silent on a healthy farm, and it finds what was broken."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.topology import farm_topology
from lvsctl.cli.main import lvsctl
from tests.kernel.agent_hosts import differences, dump
from tests.kernel.doctors import call, checks, on_director, on_real_server
from tests.kernel.farms import VIP, start

RS1 = "192.0.2.11"
ARP_IGNORE, ARP_ANNOUNCE = "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce"
RP_FILTER = "net.ipv4.conf.all.rp_filter"

DESTINATION = f"-t {VIP}:80 -r {RS1}:80 -w 100 -i"
GUE_DESTINATION = f"{DESTINATION} --tun-type gue --tun-port 6080"
SUMMED_DESTINATION = f"{DESTINATION} --tun-type gre --tun-csum"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a farm.

    Attributes:
        host: Where it is made.
        breaks: The command that makes it.
        at_director: The checks that find it there.
        at_server: The checks that find it on the real server.
        mends: The command that ends it; empty where doctor's own does.
        steps: How often doctor has to be asked on the host until nothing is left to mend.
    """

    host: str
    breaks: str
    at_director: Sequence[str] = ()
    at_server: Sequence[str] = ()
    mends: str = ""
    steps: int = 1


BROKEN = {
    "rp_filter by all": Fault("rs1", f"sysctl -w {RP_FILTER}=1", ["through-tunnel"], ["rp-filter"]),
    "arp_announce 0": Fault("rs1", f"sysctl -w {ARP_ANNOUNCE}=0", [], ["arp"]),
    "duplicate VIP on the network": Fault(
        "rs1", f"sysctl -w {ARP_IGNORE}=0", ["foreign-vip"], ["arp"]
    ),
    "VIP missing": Fault(
        "rs1", f"ip addr del {VIP}/32 dev tunl0", ["through-tunnel"], ["vip-on-real-server"]
    ),
    "tunl0 down": Fault("rs1", "ip link set tunl0 down", ["through-tunnel"], ["tunnel-device"]),
    "VIP with /24": Fault(
        "rs1",
        f"ip addr add {VIP}/24 dev tunl0 && ip addr del {VIP}/32 dev tunl0",
        [],
        ["vip-prefix"],
    ),
    "protocol dropped by the server's firewall": Fault(
        "rs1", "iptables-legacy -A INPUT -p 4 -j DROP", ["through-tunnel"], ["firewall-in"]
    ),
    "protocol dropped by the director's firewall": Fault(
        "lb1",
        f"iptables-legacy -A OUTPUT -p 4 -d {RS1} -j DROP",
        ["firewall-out", "through-tunnel"],
    ),
    "wrong type on one side": Fault(
        "lb1",
        f"ipvsadm -e {GUE_DESTINATION}",
        ["through-tunnel"],
        mends=f"ipvsadm -e {DESTINATION}",
    ),
    "no route to the RIP": Fault(
        "lb1",
        f"ip route add unreachable {RS1}/32",
        ["route-to-real-server"],
        mends=f"ip route del unreachable {RS1}/32",
    ),
    "VIP missing on the director": Fault(
        "lb1", f"ip addr del {VIP}/32 dev lvs0", ["vip-on-director"]
    ),
    "module absent": Fault(
        "rs1",
        "ip link set tunl0 down && modprobe -r ipip",
        ["through-tunnel"],
        ["real-server-modules"],
        steps=4,
    ),
    "no way to the clients": Fault(
        # The agent's own table has a default route too, so the main table's does not matter.
        "rs1",
        f"ip rule add from {VIP} unreachable priority 1",
        ["through-tunnel"],
        ["route-to-client"],
        mends=f"ip rule del from {VIP} unreachable priority 1",
    ),
}


def halt(daemons: FarmDaemons) -> None:
    """Stop the daemons for a while, so that they mend nothing."""
    for process in (daemons.director, *daemons.agents.values()):
        assert process is not None
        process.signal(signal.SIGSTOP)


def by_hand(network: Network, *destination: str) -> None:
    """Make lb1 a director and rs1 a real server with tunl0, without lvsctl."""
    lb1, rs1 = network["lb1"], network["rs1"]
    for node, device in ((lb1, "lo"), (rs1, "tunl0")):
        node.add_address(device, f"{VIP}/32")
    rs1.set_link("tunl0", up=True)
    for name, value in ((ARP_IGNORE, 1), (ARP_ANNOUNCE, 2), (RP_FILTER, 0)):
        rs1.write_sysctl(name, value)
    for name in ("expire_nodest_conn", "expire_quiescent_template"):
        lb1.write_sysctl(f"net.ipv4.vs.{name}", 1)
    lb1.run(["ipvsadm", "-A", "-t", f"{VIP}:80", "-s", "rr"])
    lb1.run(["ipvsadm", "-a", *destination])


@pytest.mark.timeout(600)
def test_finds_what_is_broken_and_nothing_else(network: BuildNetwork, tmp_path: Path) -> None:
    """Nothing on a healthy farm, which it does not change; each fault on the host that has it."""
    daemons = start(network(farm_topology(real_servers=1)), tmp_path, servers=("rs1",))
    before = {name: dump(daemons.network[name]) for name in ("lb1", "rs1")}

    director, server = on_director(daemons), on_real_server(daemons, "rs1")

    assert ([], []) == (director["findings"], server["findings"])
    assert (["director"], ["real-server"]) == (director["roles"], server["roles"])
    through = {(e["link"], e["parameter"]): (e["value"], e["through"]) for e in server["sysctls"]}  # type: ignore[attr-defined]
    assert (1, ARP_IGNORE) == through["eth0", "arp_ignore"]
    assert (0, RP_FILTER) == through["tunl0", "rp_filter"]
    after = {name: dump(daemons.network[name]) for name in ("lb1", "rs1")}
    assert [{}, {}] == [differences(before[name], after[name]) for name in before]
    halt(daemons)
    wrong: dict[str, object] = {}
    for name, fault in BROKEN.items():
        daemons.network[fault.host].run(["sh", "-c", fault.breaks])
        at_director, at_server = _look(daemons), on_real_server(daemons, "rs1")
        found = checks(at_director), checks(at_server)
        if found != (list(fault.at_director), list(fault.at_server)):
            wrong[name] = at_director["findings"], at_server["findings"]
        _mend(daemons, fault, at_director if fault.host == "lb1" else at_server)
    assert {} == wrong
    assert ([], []) == (checks(_look(daemons)), checks(on_real_server(daemons, "rs1")))


def _mend(daemons: FarmDaemons, fault: Fault, answer: Json) -> None:
    """End a fault, where it can be done by what doctor says mends it."""
    for step in range(fault.steps):
        if step:
            answer = on_real_server(daemons, fault.host)
        cures = [each["cure"] for each in answer["findings"]]  # type: ignore[attr-defined]
        host = daemons.network[fault.host]
        host.run(["sh", "-e", "-c", fault.mends or cures[0]])


def _look(daemons: FarmDaemons) -> Json:
    """Call doctor on a director whose daemon is stopped and cannot be asked."""
    folders = ("--director-state-dir", str(daemons.director_state), "--state-dir", "/nonexistent")
    return call(daemons.network["lb1"], *folders)


def test_a_small_path_without_icmp_is_measured(network: BuildNetwork) -> None:
    """1400 bytes to a far server whose router says nothing: found; with ICMP it is not wrong."""
    built = network(farm_topology(real_servers=0, far_real_servers=1))
    lb1, router = built["lb1"], built["r1"]
    by_hand(built, "-t", f"{VIP}:80", "-r", built.address("rs1"), "-i")
    listed = router.run(["ip", "-o", "addr"]).stdout.splitlines()
    link = next(line.split()[1] for line in listed if "203.0.113.1/" in line)
    router.run(["ip", "link", "set", link, "mtu", "1400"])
    folders = ("--director-state-dir", "/nonexistent", "--state-dir", "/nonexistent")

    told = call(lb1, *folders)
    router.run(["iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP"])
    silent = call(lb1, *folders)

    assert ([], ["path-mtu"]) == (checks(told), checks(silent))
    assert [1400, 1400] == [answer["paths"][0]["bytes"] for answer in (told, silent)]  # type: ignore[index]
    assert "tunnel.mtu: 1400" in silent["findings"][0]["cure"]  # type: ignore[index]


def test_a_real_server_without_an_agent_is_described_by_flags(network: BuildNetwork) -> None:
    """A GUE port that is not open is found on both sides, and a device for GRE's checksum."""
    built = network(farm_topology(real_servers=1))
    lb1, server = built["lb1"], built["rs1"]
    by_hand(built, *GUE_DESTINATION.split())
    folders = ("--director-state-dir", "/nonexistent", "--state-dir", "/nonexistent")
    described = ("--role", "real-server", "--vip", VIP, "--address", RS1)
    described += ("--director", built.address("lb1"))

    def look(tunnel: str) -> tuple[list[str], Json]:
        answer = call(server, *folders, *described, "--tunnel", tunnel)
        return checks(call(lb1, *folders)), answer

    for tunnel, missing in (("gue:6080", "fou-port"), ("gre+checksum", "tunnel-device")):
        at_director, at_server = look(tunnel)
        assert (["through-tunnel"], [missing]) == (at_director, checks(at_server))
        server.run(["sh", "-e", "-c", at_server["findings"][0]["cure"]])  # type: ignore[index]
        at_director, at_server = look(tunnel)
        assert ([], []) == (at_director, checks(at_server))
        lb1.run(["ipvsadm", "-e", *SUMMED_DESTINATION.split()])
    for wrong in ("gue", "gue:0", "gue:99999", "ipip:4", "ipip+checksum", "gretap"):
        with server.enter():
            done = CliRunner().invoke(lvsctl, ["doctor", *folders, *described, "--tunnel", wrong])
        assert (2, True) == (done.exit_code, f"{wrong!r} is not ipip" in done.output)


def test_a_host_that_is_neither_is_told_so(network: BuildNetwork) -> None:
    """Status 1: it could not look."""
    built = network(farm_topology(real_servers=0))
    with built["c1"].enter():
        done = CliRunner().invoke(
            lvsctl,
            ["doctor", "--state-dir", "/nonexistent", "--director-state-dir", "/nonexistent"],
        )
    assert 1 == done.exit_code
    assert "this host is neither" in done.output
