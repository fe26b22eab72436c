"""The agent's code sets a real host up, keeps it and puts it back; seen by packets and by dumps."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import requests, served_by
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.packets import IPIP
from deploy.lab.topology import farm_topology, vip
from lvsctl.agent.real_server import HostStatus
from lvsctl.host.interface import AddressKey, HostChange
from lvsctl.messages.model import Severity
from tests.kernel.agent_hosts import (
    ALL_SYSCTLS,
    SteppedHost,
    assigned,
    dies_before,
    differences,
    dump,
    real_server,
)

VIP, OTHER_VIP = vip(10), vip(20)


@pytest.fixture
def farm(network: BuildNetwork) -> Network:
    """A director that sends VIP to rs1, and an rs1 that nobody has set up."""
    built = network(farm_topology(real_servers=1))
    start_application(built["rs1"], Application("rs1", udp_addresses=()))
    director = built["lb1"]
    director.add_address("lo", f"{VIP}/32")
    server = built.address("rs1")
    director.run(
        ["ipvsadm", "-R"], input=f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r {server}:80 -i\n"
    )
    return built


def harden(node: Node) -> None:
    """Give a host the values that a distribution or an administrator may have set."""
    node.write_sysctl("net.ipv4.conf.all.rp_filter", 1)
    node.write_sysctl("net.ipv4.conf.eth0.rp_filter", 0)
    node.write_sysctl("net.ipv4.conf.lo.arp_ignore", 1)
    node.write_sysctl("net.ipv4.ip_forward", 1)


def check(farm: Network, state: Path, *vips: str) -> HostStatus:
    with real_server(farm, "rs1", state) as server:
        return server.check(assigned("rs1", *vips))


def undo(farm: Network, state: Path) -> None:
    with real_server(farm, "rs1", state) as server:
        assert () == server.undo()


def test_a_host_that_was_set_up_serves_tunnelled_packets(farm: Network, tmp_path: Path) -> None:
    """Before: nothing is answered. After: everything, tunnelled there and straight back."""
    harden(farm["rs1"])
    assert requests(farm["c1"], VIP, timeout_s=1)[0].error

    condition = check(farm, tmp_path, VIP)

    assert (1, ()) == (len(condition.ready), condition.findings)
    with Capture(farm["rs1"]) as capture:
        assert Counter(rs1=20) == served_by(requests(farm["c1"], VIP, count=20))
        received, sent = capture.packets(outgoing=False), capture.packets(outgoing=True)
    tunnelled = [packet for packet in received if packet.outer]
    assert {(farm.address("lb1"), farm.address("rs1"), IPIP)} == {
        (packet.outer.source, packet.outer.destination, packet.outer.protocol)
        for packet in tunnelled
        if packet.outer
    }
    answers = [packet.ip for packet in sent if packet.ip.source == VIP]
    assert answers
    assert {farm.address("c1")} == {answer.destination for answer in answers}


def test_a_host_that_was_left_is_as_it_was_found(farm: Network, tmp_path: Path) -> None:
    """Every link, address, rule, route and sysctl of IPv4 and IPv6."""
    harden(farm["rs1"])
    before = dump(farm["rs1"], ALL_SYSCTLS)
    check(farm, tmp_path, VIP, OTHER_VIP)
    assert differences(before, dump(farm["rs1"], ALL_SYSCTLS))
    check(farm, tmp_path, OTHER_VIP)

    undo(farm, tmp_path)

    assert {} == differences(before, dump(farm["rs1"], ALL_SYSCTLS))


def in_a_child(node: Node, run: Callable[[], object]) -> int:
    """Run something in a process of its own on a node; return its exit status."""
    return node.fork(run, "child").wait(30)


def test_a_set_up_killed_before_any_change_can_be_left(farm: Network, tmp_path: Path) -> None:
    """Killed with -9 before each change in turn, and then left: as found every time."""
    harden(farm["rs1"])
    before = dump(farm["rs1"])
    for number in itertools.count():
        state = tmp_path / str(number)

        def set_up(number: int = number, state: Path = state) -> None:
            host = SteppedHost(before_each=dies_before(number))
            with real_server(farm, "rs1", state, lambda: host) as server:
                server.check(assigned("rs1", VIP))

        status = in_a_child(farm["rs1"], set_up)
        undo(farm, state)
        assert {} == differences(before, dump(farm["rs1"])), f"killed before change {number}"
        if status == 0:
            break
        assert -9 == status
    assert 8 <= number <= 11


def test_a_leave_killed_before_any_change_can_be_finished(farm: Network, tmp_path: Path) -> None:
    """Killed with -9 before each change in turn, and then left: as found every time."""
    harden(farm["rs1"])
    before = dump(farm["rs1"])
    for number in itertools.count():
        state = tmp_path / str(number)
        check(farm, state, VIP)

        def leave(number: int = number, state: Path = state) -> None:
            host = SteppedHost(before_each=dies_before(number))
            with real_server(farm, "rs1", state, lambda: host) as server:
                server.undo()

        status = in_a_child(farm["rs1"], leave)
        undo(farm, state)
        assert {} == differences(before, dump(farm["rs1"])), f"killed before change {number}"
        if status == 0:
            break
        assert -9 == status
    assert 7 <= number <= 11


def test_the_vip_is_never_spoken_for(farm: Network, tmp_path: Path) -> None:
    """The ARP sysctls are seen set before the VIP is there, and no ARP message ever names it."""
    node = farm["rs1"]
    seen: list[tuple[str, str]] = []

    def look(change: HostChange) -> None:
        if isinstance(change.key, AddressKey):
            values = ("arp_ignore", "arp_announce")
            seen.append(
                tuple(Path(f"/proc/sys/net/ipv4/conf/all/{name}").read_text() for name in values)  # type: ignore[arg-type]
            )

    with Capture(farm["c1"]) as capture:
        host_on_node = lambda: SteppedHost(before_each=look)  # noqa: E731
        with real_server(farm, "rs1", tmp_path, host_on_node) as server:
            server.check(assigned("rs1", VIP))
        assert not requests(farm["c1"], VIP, count=5)[-1].error
        arps = capture.arps()
    assert [("1\n", "2\n")] == seen
    director = {arp.sender_mac for arp in arps if arp.sender == farm.address("lb1")}
    speakers = {arp.sender_mac for arp in arps if arp.sender == VIP}
    assert speakers <= director
    assert node.read_sysctl("net.ipv4.ip_forward") == "0"


def effective(node: Node, device: str) -> int:
    return max(int(node.read_sysctl(f"net.ipv4.conf.{name}.rp_filter")) for name in ("all", device))


@pytest.mark.parametrize("all_devices", [0, 1, 2])
def test_only_the_tunnel_is_relaxed(farm: Network, tmp_path: Path, all_devices: int) -> None:
    """At no step is another device less strict, nor is one that comes later."""
    node = farm["rs1"]
    node.write_sysctl("net.ipv4.conf.all.rp_filter", all_devices)
    before = {name: effective(node, name) for name in ("lo", "eth0", "default")}

    def look(_: HostChange) -> None:
        assert before == {name: effective(node, name) for name in before}

    with real_server(farm, "rs1", tmp_path, lambda: SteppedHost(after_each=look)) as server:
        server.check(assigned("rs1", VIP))

    assert 0 == effective(node, "tunl0")
    node.run(["ip", "link", "add", "late0", "type", "dummy"])
    assert before["default"] == effective(node, "late0")
    node.run(["ip", "link", "del", "late0"])
    assert not requests(farm["c1"], VIP)[0].error


DAMAGES = [
    (["ip", "link", "set", "tunl0", "down"], "tunl0 on rs1 is down"),
    (["ip", "address", "del", f"{VIP}/32", "dev", "tunl0"], f"{VIP}/32 is missing from tunl0"),
    (
        ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"],
        "tunl0 on rs1: rp_filter is 1 through net.ipv4.conf.all.rp_filter",
    ),
    (
        ["sysctl", "-qw", "net.ipv4.conf.tunl0.rp_filter=1"],
        "tunl0 on rs1: rp_filter is 1 through net.ipv4.conf.tunl0.rp_filter",
    ),
    (
        ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"],
        "arp_ignore is 0 through net.ipv4.conf.all.arp_ignore",
    ),
    (
        ["sysctl", "-qw", "net.ipv4.conf.all.arp_announce=0"],
        "arp_announce is 0 through net.ipv4.conf.all.arp_announce",
    ),
    (
        ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=3"],
        "eth0 on rs1: arp_ignore is 3 through net.ipv4.conf.eth0.arp_ignore",
    ),
]


@pytest.mark.parametrize(
    ("damage", "told"), DAMAGES, ids=[" ".join(damage) for damage, _ in DAMAGES]
)
def test_damage_is_put_right_and_told(
    farm: Network, tmp_path: Path, damage: list[str], told: str
) -> None:
    """The next check mends it and says what it was, and the host can still be left."""
    before = dump(farm["rs1"])
    check(farm, tmp_path, VIP)
    farm["rs1"].run(damage)

    condition = check(farm, tmp_path, VIP)

    (finding,) = condition.findings
    assert Severity.REPAIRED is finding.severity
    assert told in finding.detail
    assert 1 == len(condition.ready)
    assert not requests(farm["c1"], VIP)[0].error
    undo(farm, tmp_path)
    assert {} == differences(before, dump(farm["rs1"]))


@pytest.mark.parametrize("answers", [0, 3, 4])
def test_an_arp_ignore_of_another_meaning_is_not_enough(
    farm: Network, tmp_path: Path, answers: int
) -> None:
    """With 3 and 4 a host answers for an address of its tunnel; with what the agent sets not."""
    node = farm["rs1"]
    node.write_sysctl("net.ipv4.conf.eth0.arp_ignore", answers)
    node.add_address("tunl0", f"{OTHER_VIP}/32")
    node.set_link("tunl0", up=True)
    assert answers_arp_for(farm, OTHER_VIP)
    check(farm, tmp_path, OTHER_VIP)
    farm["c1"].run(["ip", "neighbour", "flush", "all"])
    assert not answers_arp_for(farm, OTHER_VIP)


def answers_arp_for(farm: Network, address: str) -> bool:
    """Tell whether rs1 answers when c1 asks for an address."""
    with Capture(farm["c1"]) as capture:
        requests(farm["c1"], address, timeout_s=1)
        return any(arp.operation == 2 and arp.sender == address for arp in capture.arps())


def test_a_full_disk_changes_nothing(farm: Network, tmp_path: Path) -> None:
    """No change without a record of how the host was found; with room again it is set up."""
    node = farm["rs1"]
    node.run(["mount", "-t", "tmpfs", "-o", "size=16k", "full", str(tmp_path)])
    try:
        before = dump(node)
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(65536))
        condition = check(farm, tmp_path, VIP)
        assert {} == differences(before, dump(node))
        assert ((), ["state folder"]) == (
            condition.ready,
            [finding.subject for finding in condition.findings],
        )
        filler.unlink()
        assert 1 == len(check(farm, tmp_path, VIP).ready)
    finally:
        node.run(["umount", str(tmp_path)])


def test_an_own_device_where_the_namespace_has_no_fallback(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """It takes packets for the real server's address, serves, and goes with the agent."""
    setting = Path("/proc/sys/net/core/fb_tunnels_only_for_init_net")
    found = setting.read_text()
    setting.write_text("2")
    try:
        built = network(farm_topology(real_servers=1))
    finally:
        setting.write_text(found)
    start_application(built["rs1"], Application("rs1", udp_addresses=()))
    director, node = built["lb1"], built["rs1"]
    director.add_address("lo", f"{VIP}/32")
    director.run(
        ["ipvsadm", "-R"],
        input=f"-A -t {VIP}:80 -s rr\n-a -t {VIP}:80 -r {built.address('rs1')}:80 -i\n",
    )
    before = dump(node)

    condition = check(built, tmp_path, VIP)

    assert (1, ()) == (len(condition.ready), condition.findings)
    assert "lvs-ipip" in node.run(["ip", "link"]).stdout
    assert Counter(rs1=5) == served_by(requests(built["c1"], VIP, count=5))
    undo(built, tmp_path)
    assert {} == differences(before, dump(node))
