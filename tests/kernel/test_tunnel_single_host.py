"""Two hosts joined by ``lvsctl tunnel`` on each, without a director."""

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.topology import farm_topology
from lvsctl.cli.main import lvsctl
from lvsctl.host.interface import HostChange
from lvsctl.host.linux import LinuxHost
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.point_to_point import single_host
from lvsctl.results import Result
from tests.kernel.agent_hosts import differences, dump


class Hosts:
    """Two hosts, and what is kept on each."""

    def __init__(self, network: Network, state: Path) -> None:
        self.network = network
        self.c, self.d = network["rs1"], network["rs2"]
        self._state = state

    def tunnel(self, node: Node, *words: str, status: int = 0) -> str:
        """Run ``lvsctl tunnel`` on a host; return what it printed, errors where it fails."""
        with node.enter():
            ran = CliRunner().invoke(
                lvsctl, ["tunnel", *words, "--state-dir", str(self._state / node.name)]
            )
        assert status == ran.exit_code, ran.output
        return ran.stderr if status else ran.stdout

    def asked(self, node: Node, *words: str) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.tunnel(node, *words, "-o", "json"))

    def add(self, node: Node, name: str, mode: str, address: str, *more: str) -> str:
        own, other = ("rs1", "rs2") if node is self.c else ("rs2", "rs1")
        ends = ("--local", self.network.address(own), "--remote", self.network.address(other))
        return self.tunnel(
            node, "add", name, "--mode", mode, *ends, "--dev", "eth0", "--address", address, *more
        )


@pytest.fixture
def hosts(network: BuildNetwork, tmp_path: Path) -> Hosts:
    return Hosts(network(farm_topology(real_servers=2, far_real_servers=1)), tmp_path)


def link(node: Node, name: str) -> Mapping[str, Any]:
    """Return a device as ``ip`` shows it."""
    shown: list[Mapping[str, Any]] = json.loads(
        node.run(["ip", "-d", "-j", "address", "show", name]).stdout
    )
    return shown[0]


@pytest.mark.parametrize(
    ("mode", "one", "other", "more", "mtu"),
    [
        ("ipip", "192.168.2.1/24", "192.168.2.2/24", (), 1480),
        ("gre", "192.168.2.1/24", "192.168.2.2/24", (), 1476),
        ("gre", "192.168.2.1/24", "192.168.2.2/24", ("--key", "0x2a"), 1472),
        ("gre", "192.168.2.1/24", "192.168.2.2/24", ("--key", "0"), 1472),
        ("gretap", "192.168.2.1/24", "192.168.2.2/24", (), 1462),
        ("gre", "fd00:9::1/64", "fd00:9::2/64", (), 1476),
        ("ipip", "10.9.9.0/31", "10.9.9.1/31", ("--ttl", "9", "--mtu", "1400"), 1400),
    ],
)
def test_joins_two_hosts(  # noqa: PLR0917 - one row of the table
    hosts: Hosts, mode: str, one: str, other: str, more: tuple[str, ...], mtu: int
) -> None:
    """Each reaches the other with no loss, as ip shows it, and nothing is left after removal."""
    before = dump(hosts.c), dump(hosts.d)
    assert "added tunnel c2d\n" == hosts.add(hosts.c, "c2d", mode, one, *more)
    assert "added tunnel d2c\n" == hosts.add(hosts.d, "d2c", mode, other, *more)
    for node, name, own, peer in ((hosts.c, "c2d", one, other), (hosts.d, "d2c", other, one)):
        shown = link(node, name)
        assert mtu == shown["mtu"]
        assert own in {f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"]}
        answer = hosts.asked(node, "ping", name, peer.partition("/")[0], "--count", "10")
        assert (10, 10, 0) == (answer["sent"], answer["received"], answer["loss_percent"])
        assert answer["round_trip_ms"] > 0
        listed = hosts.asked(node, "list")["tunnels"]
        assert [(name, "up", mtu, [own])] == [
            (each["name"], each["state"], each["mtu"], each["addresses"]) for each in listed
        ]
    hosts.tunnel(hosts.c, "remove", "c2d")
    hosts.tunnel(hosts.d, "remove", "d2c")
    assert ({}, {}) == (
        differences(before[0], dump(hosts.c)),
        differences(before[1], dump(hosts.d)),
    )


def test_finds_the_other_end(hosts: Hosts) -> None:
    """Without an address the one neighbour in the inner network is asked, also behind a router."""
    hosts.add(hosts.c, "c2d", "ipip", "192.168.2.1/24")
    hosts.add(hosts.d, "d2c", "ipip", "192.168.2.77/24")
    answer = hosts.asked(hosts.c, "ping", "c2d")
    assert ("192.168.2.77", 0) == (answer["address"], answer["loss_percent"])
    near, far = hosts.network.address("rs1"), hosts.network.address("rs3")
    over = ("--mode", "gre", "--local")
    one, other = "192.168.3.1/24", "192.168.3.2/24"
    hosts.tunnel(hosts.c, "add", "c2f", *over, near, "--remote", far, "--address", one)
    hosts.tunnel(
        hosts.network["rs3"], "add", "f2c", *over, far, "--remote", near, "--address", other
    )
    answer = hosts.asked(hosts.c, "ping", "c2f")
    assert ("192.168.3.2", 0) == (answer["address"], answer["loss_percent"])


def test_tells_that_nobody_is_there(hosts: Hosts) -> None:
    """Also where it was not said who the other end is inside."""
    hosts.add(hosts.c, "c2d", "ipip", "192.168.2.1/24")
    shown = hosts.asked(hosts.c, "show", "c2d")
    assert ("down", "nobody answers in 192.168.2.0/24") == (shown["state"], shown["reason"])
    hosts.add(hosts.d, "d2c", "ipip", "192.168.2.2/24")
    assert "up" == hosts.asked(hosts.c, "show", "c2d")["state"]
    hosts.d.run(["ip", "link", "delete", "d2c"])
    (listed,) = hosts.asked(hosts.c, "list")["tunnels"]
    assert ("down", "nobody answers in 192.168.2.0/24") == (listed["state"], listed["reason"])


def test_tells_that_the_other_end_is_gone(hosts: Hosts) -> None:
    """It is down with the reason: here with what misses, there with who does not answer."""
    hosts.add(hosts.c, "c2d", "ipip", "192.168.2.1/24", "--peer", "192.168.2.2")
    hosts.add(hosts.d, "d2c", "ipip", "192.168.2.2/24", "--peer", "192.168.2.1")
    assert "up" == hosts.asked(hosts.c, "show", "c2d")["state"]
    hosts.d.run(["ip", "link", "delete", "d2c"])
    shown = hosts.asked(hosts.c, "show", "c2d")
    assert ("down", "no answer from 192.168.2.2") == (shown["state"], shown["reason"])
    shown = hosts.asked(hosts.d, "show", "d2c")
    assert ("down", "d2c is missing") == (shown["state"], shown["reason"])
    hosts.tunnel(hosts.c, "ping", "c2d", "192.168.2.2", "--count", "1", status=1)
    hosts.add(hosts.d, "d2c", "ipip", "192.168.2.2/24", "--peer", "192.168.2.1")
    assert "up" == hosts.asked(hosts.c, "show", "c2d")["state"]
    hosts.d.set_link("eth0", up=False)
    shown = hosts.asked(hosts.d, "show", "d2c")
    assert ("down", "eth0, its underlay device, is down") == (
        shown["state"],
        shown["reason"],
    )


def test_refuses_before_anything_is_touched(hosts: Hosts) -> None:
    """Each refusal names the option and the reason, and the host is as it was."""
    hosts.add(hosts.c, "c2d", "gre", "192.168.2.1/24", "--key", "7")
    before = dump(hosts.c)
    own, other = hosts.network.address("rs1"), hosts.network.address("rs2")
    right = {
        "--mode": "gre",
        "--local": own,
        "--remote": other,
        "--dev": "eth0",
        "--address": "192.168.3.1/24",
    }
    for change, told in (
        ({"--local": "192.0.2.99"}, "--local: 192.0.2.99 is not an address of this host"),
        ({"--remote": own}, f"--remote: both ends are at {own}"),
        ({"--dev": "eth9"}, "--dev: there is no device eth9"),
        ({"--key": "7"}, f"--remote: c2d already joins {own} and {other} by gre with key 7"),
        ({"--address": "192.168.2.9/28"}, "--address: 192.168.2.9/28 overlaps 192.168.2.1/24"),
        ({"--address": "192.0.2.129/25"}, f"--address: 192.0.2.129/25 overlaps {own}/24 on eth0"),
        ({"--mode": "ipip", "--address": "2001:db8:9::1/64"}, "mode gre or gretap"),
        ({"--mode": "ipip", "--key": "7"}, "--key: ipip has no key"),
    ):
        words = [word for pair in (right | change).items() for word in pair]
        assert told in hosts.tunnel(hosts.c, "add", "x", *words, status=1)
    same = [word for pair in right.items() for word in pair]
    assert "NAME: this host already has a device eth0" in hosts.tunnel(
        hosts.c, "add", "eth0", *same[:-4], *same[-2:], status=1
    )
    assert "lvsctl tunnel remove c2d" in hosts.tunnel(hosts.c, "add", "c2d", *same, status=1)
    assert "has added no tunnel eth0" in hosts.tunnel(hosts.c, "remove", "eth0", status=1)
    assert {} == differences(before, dump(hosts.c))


class _Interrupted(BaseException):
    """As far as the host is concerned, kill -9."""


@pytest.mark.parametrize("step", [0, 1])
def test_interrupted_it_is_removed_or_completed(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Ended before its first change or between two, remove undoes it and add completes it."""
    hosts.add(hosts.d, "d2c", "ipip", "192.168.2.2/24")
    before = dump(hosts.c)
    left = iter(range(step))

    class Dying(LinuxHost):
        def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
            done: list[Result] = []
            for change in changes:
                self.die_before(change)
                done += super().apply([change])
            return done

        def die_before(self, change: HostChange) -> None:
            if change.config is not None and next(left, None) is None:
                raise _Interrupted

    def interrupted() -> None:
        nonlocal left
        left = iter(range(step))
        end = single_host_end(hosts)
        with (
            hosts.c.enter(),
            pytest.raises(_Interrupted),
            single_host.opened(hosts._state / hosts.c.name) as host,
        ):
            host.add(end)

    with monkeypatch.context() as patch:
        patch.setattr(single_host, "LinuxHost", Dying)
        interrupted()
    assert "down" == hosts.asked(hosts.c, "show", "c2d")["state"]
    hosts.tunnel(hosts.c, "remove", "c2d")
    assert {} == differences(before, dump(hosts.c))
    with monkeypatch.context() as patch:
        patch.setattr(single_host, "LinuxHost", Dying)
        interrupted()
    hosts.add(hosts.c, "c2d", "ipip", "192.168.2.1/24")
    assert "up" == hosts.asked(hosts.c, "show", "c2d")["state"]
    hosts.tunnel(hosts.c, "remove", "c2d")
    assert {} == differences(before, dump(hosts.c))


def single_host_end(hosts: Hosts) -> TunnelEnd:
    """Return the end that ``add`` makes of its options."""
    return TunnelEnd(
        tunnel="c2d",
        link="c2d",
        mode=TunnelMode.IPIP,
        local=ip_address(hosts.network.address("rs1")),
        remote=ip_address(hosts.network.address("rs2")),
        addresses=(ip_interface("192.168.2.1/24"),),
        device="eth0",
    )


def test_a_device_of_somebody_else_stays(hosts: Hosts) -> None:
    """What came under a tunnel's name since is not removed with it."""
    hosts.add(hosts.c, "c2d", "ipip", "192.168.2.1/24")
    hosts.c.run(["ip", "link", "delete", "c2d"])
    hosts.c.run(["ip", "link", "add", "c2d", "type", "dummy"])
    assert "another device, of kind dummy" in hosts.asked(hosts.c, "show", "c2d")["reason"]
    hosts.tunnel(hosts.c, "remove", "c2d")
    assert "dummy" == link(hosts.c, "c2d")["linkinfo"]["info_kind"]
