"""Nodes: each is a host of its own, and goes without a trace."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.lab.errors import LabError
from deploy.lab.fingerprint import Shared
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.namespaces import NAMED
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip

MakeNode = Callable[[str], Node]


def test_sysctls_are_those_of_the_node(node: MakeNode) -> None:
    """A sysctl that is written on one node is read there only, also by path inside `enter`."""
    lb1, rs1 = node("lb1"), node("rs1")
    lb1.write_sysctl("net.ipv4.conf.all.rp_filter", 2)
    rs1.write_sysctl("net.ipv4.conf.all.rp_filter", 1)
    path = Path("/proc/sys/net/ipv4/conf/all/rp_filter")
    with lb1.enter():
        on_lb1 = path.read_text()
        with rs1.enter():
            on_rs1 = path.read_text()
        again_on_lb1 = path.read_text()
    assert ["2\n", "1\n", "2\n"] == [on_lb1, on_rs1, again_on_lb1]
    assert path.read_text() == "0\n"


def test_a_thread_stays_where_it_was(node: MakeNode) -> None:
    """Entering a node moves the calling thread, and no other."""
    lb1 = node("lb1")
    lb1.write_sysctl("net.ipv4.ip_forward", 1)
    entered, read = threading.Event(), []

    def look() -> None:
        entered.wait(10)
        read.append(Path("/proc/sys/net/ipv4/ip_forward").read_text())

    thread = threading.Thread(target=look)
    thread.start()
    with lb1.enter():
        entered.set()
        thread.join()
    assert ["0\n"] == read


def test_a_device_with_a_dot_has_sysctls(node: MakeNode) -> None:
    """As for sysctl(8), a slash in the name stands for the dot in a device's name."""
    lb1 = node("lb1")
    lb1.netlink.link("add", ifname="eth0.5", kind="dummy")
    lb1.write_sysctl("net.ipv4.conf.eth0/5.rp_filter", 1)
    assert "1" == lb1.read_sysctl("net.ipv4.conf.eth0/5.rp_filter")


def test_a_program_runs_on_its_node(node: MakeNode) -> None:
    """A program sees the node's links; one that fails is an error with what it said."""
    lb1 = node("lb1")
    lb1.netlink.link("add", ifname="lvs0", kind="dummy")
    assert "lvs0" in lb1.run(["ip", "-brief", "link"]).stdout
    with pytest.raises(LabError, match=r"on lb1 ended with 1:\nDevice .nothere. does not exist"):
        lb1.run(["ip", "link", "show", "nothere"])


def test_a_forked_child_has_a_host_of_its_own(node: MakeNode) -> None:
    """A child sees its node's name, links in /sys and sysctls, and writes to its own log."""
    lb1 = node("lb1")
    lb1.netlink.link("add", ifname="lvs0", kind="dummy")
    lb1.write_sysctl("net.ipv4.ip_forward", 1)

    def look_around() -> None:
        print(socket.gethostname(), Path("/proc/sys/net/ipv4/ip_forward").read_text().strip())  # noqa: T201
        print(*Path("/sys/class/net/lvs0").parent.glob("lvs*"))  # noqa: T201

    child = lb1.fork(look_around, "look")
    assert 0 == child.wait(10)
    assert "lb1 1\n/sys/class/net/lvs0\n" == child.log.read_text()
    assert not Path("/sys/class/net/lvs0").exists()


def test_how_a_child_ended_is_known(node: MakeNode) -> None:
    """A child's exception, exit status, and the signal that ended it come back from it."""
    lb1 = node("lb1")
    raising = lb1.fork(lambda: int("x"), "raising")
    leaving = lb1.fork(lambda: sys.exit(7), "leaving")
    sleeping = lb1.start(["sleep", "60"], "sleeping")
    assert 1 == raising.wait(10)
    assert "ValueError: invalid literal" in raising.tail()
    assert 7 == leaving.wait(10)
    assert sleeping.is_alive()
    with pytest.raises(LabError, match="still runs"):
        sleeping.wait(0.05)
    assert -signal.SIGTERM == sleeping.stop()
    assert -signal.SIGKILL == lb1.start(["sleep", "60"], "again").kill()


def test_whatever_runs_goes_with_its_node(node: MakeNode) -> None:
    """A node's removal ends grandchildren in sessions of their own too, and takes its name."""
    lb1 = node("lb1")
    lb1.start(["sh", "-c", "setsid sleep 61 & setsid sleep 62 & wait"], "family")
    poll(lambda: _commands() & {"sleep 61", "sleep 62"}, 10, until=lambda seen: len(seen) == 2)
    lb1.remove()
    assert set() == _commands() & {"sleep 61", "sleep 62"}
    assert not (NAMED / "lb1").exists()
    node("lb1")


def test_a_fingerprint_names_what_was_changed(network: BuildNetwork) -> None:
    """Each change by hand shows as that of its host; traffic, which leaves traces, as nothing."""
    farm = network(farm_topology(real_servers=1))
    server = farm["rs1"]
    process = server.start(["sleep", "60"], "sleeping")
    shared = Shared(farm, dict)
    _seen_by(farm, "rs1", farm.address("rs1"))
    assert {} == shared.changes()

    def is_told(change: Callable[[], object], what: str) -> bool:
        change()
        return {f"rs1 {what}"} == shared.changes().keys()

    assert is_told(lambda: server.run(["ipvsadm", "-A", "-f", "7"]), "IPVS table")
    assert is_told(lambda: server.run(["ip", "link", "set", "eth0", "group", "7"]), "links")
    assert is_told(lambda: server.run(["ip", "rule", "add", "from", "192.0.2.77"]), "rules")
    assert is_told(lambda: server.add_route("203.0.113.7/32", link="eth0"), "routes")
    forwarding = "net/ipv4/conf/eth0/forwarding"
    assert is_told(lambda: server.write_sysctl("net.ipv4.conf.eth0.forwarding", 1), forwarding)
    assert is_told(process.kill, "processes")
    server.add_address("lo", "198.51.100.10/32")
    assert {"rs1 addresses", "rs1 routes"} == shared.changes().keys()  # the local one with it


def test_the_standard_network_carries_packets(network: BuildNetwork) -> None:
    """From c1 each server answers over both families, on the link and behind the router."""
    farm = network(farm_topology(directors=2, real_servers=2, far_real_servers=1))
    for server in ("lb1", "lb2", "rs1", "rs2", "rs3"):
        for version in (4, 6):
            assert farm.address("c1", version) == _seen_by(
                farm, server, farm.address(server, version)
            )


def test_a_client_behind_the_router_reaches_all(network: BuildNetwork) -> None:
    """The same for a client behind r1, and its way to a routed VIP is the first director."""
    farm = network(
        farm_topology(real_servers=1, far_real_servers=1, client_on_link=False, vips_on_link=False)
    )
    farm["lb1"].add_address("lo", f"{vip(10)}/32")
    for server in ("lb1", "rs1", "rs2"):
        for version in (4, 6):
            assert farm.address("c1", version) == _seen_by(
                farm, server, farm.address(server, version)
            )
    assert "203.0.113.201" == _seen_by(farm, "lb1", vip(10))


def test_an_on_link_vip_is_asked_for_on_the_link(network: BuildNetwork) -> None:
    """Where VIPs are on-link, whoever on the link has one answers for it."""
    farm = network(farm_topology(real_servers=1))
    farm["rs1"].add_address("lo", f"{vip(10)}/32")
    assert "192.0.2.201" == _seen_by(farm, "rs1", vip(10))


def test_a_link_that_is_down_carries_nothing(network: BuildNetwork) -> None:
    """A server whose link is down is not reached, and is again when it is up."""
    farm = network(farm_topology(real_servers=1))
    farm["rs1"].set_link("eth0", up=False)
    with pytest.raises(OSError, match=r"timed out|No route"):
        _seen_by(farm, "rs1", "192.0.2.11", timeout_s=0.2)
    farm["rs1"].set_link("eth0", up=True)
    assert "192.0.2.201" == _seen_by(farm, "rs1", "192.0.2.11")


def _seen_by(farm: Network, server: str, address: str, timeout_s: float = 3) -> str:
    """Connect from c1 to a server's address and return the one that the server sees."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with farm[server].enter():
        listener = socket.create_server((address, 80), family=family)
    with listener:
        with farm["c1"].enter():
            connection = socket.create_connection((address, 80), timeout_s)
        accepted, peer = listener.accept()
        connection.close()
        accepted.close()
    return str(peer[0])


def _commands() -> set[str]:
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())
