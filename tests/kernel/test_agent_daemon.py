"""The agent as a process: its start, its end, its lock, and a leave with and without it."""

import asyncio
import os
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from deploy.lab.fixtures import BuildNetwork, ShareNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.process import NodeProcess
from deploy.lab.topology import farm_topology, vip
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.main import last_config, leave, run
from lvsctl.agent.state_dir import StateDir
from lvsctl.agent.status import status
from lvsctl.errors import ConfigurationError
from lvsctl.host.events import host_events
from tests.kernel.agent_hosts import assigned, differences, dump

VIP = vip(10)
SET_UP_WITHIN_S = 15.0


class Server:
    """A real server whose agent knows its assignment from the disk; no director is there."""

    def __init__(self, network: Network, state: Path) -> None:
        self.node: Node = network["rs1"]
        self.address = IPv4Address(network.address("rs1"))
        self.state = state
        self.config = AgentConfig(
            directors=(f"http://{network.address('lb1')}:8080",),
            pools=("web",),
            name="rs1",
            state_dir=state,
        )
        StateDir(state).save_assignments(assigned("rs1", VIP))

    def start(self) -> NodeProcess:
        """Start the agent and wait until the host is set up."""
        agent = self.node.fork(lambda: run(self.config), "agent")
        poll(self.serves, SET_UP_WITHIN_S)
        return agent

    def serves(self) -> bool:
        return VIP in self.node.run(["ip", "address", "show", "tunl0"]).stdout

    def leave(self, *, force: bool) -> tuple[int, list[str]]:
        """Run the leave in this process; return its exit status and what it said."""
        said: list[str] = []
        with self.node.enter():
            result = leave(self.config, 1, force=force, say=said.append)
        return result, said


@pytest.fixture
def server(network: BuildNetwork, tmp_path: Path) -> Server:
    return Server(network(farm_topology(real_servers=1)), tmp_path / "state")


def test_starts_without_a_director_and_ends_without_a_trace(server: Server) -> None:
    """It serves from the disk; SIGTERM ends it with 0 and changes nothing."""
    agent = server.start()
    serving = dump(server.node)
    assert 0 == agent.stop()
    assert {} == differences(serving, dump(server.node))
    with server.node.enter():
        known = status(server.state)
    assert (None, "rs1", server.address) == (known.process, known.name, known.registration.address)
    assert (IPv4Address(VIP),) == known.report.ready
    assert "does not answer" in known.contact.problem


def test_tells_systemd_when_the_host_is_set_up(server: Server, tmp_path: Path) -> None:
    """READY=1 comes after the first comparison of the host, director or not."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(address))
        channel.settimeout(SET_UP_WITHIN_S)

        def run_notifying() -> None:
            os.environ["NOTIFY_SOCKET"] = str(address)
            run(server.config)

        agent = server.node.fork(run_notifying, "agent")
        assert b"READY=1" == channel.recv(100)
        assert server.serves()
        assert 0 == agent.stop()


def test_ends_with_0_while_it_starts(server: Server) -> None:
    """SIGTERM is never a failure, not even before the host is set up."""
    state = StateDir(server.state)
    agent = server.node.fork(lambda: run(server.config), "agent")
    poll(lambda: state.lock.holder() is not None, SET_UP_WITHIN_S)
    assert 0 == agent.stop()


def test_a_second_agent_is_refused(server: Server) -> None:
    """One process writes a host; the message names it."""
    agent = server.start()
    with server.node.enter(), pytest.raises(ConfigurationError, match=f"process {agent.pid}"):
        run(server.config)
    agent.kill()
    again = server.start()
    with server.node.enter():
        # What the one before it set up stands: that it serves does not say that it has begun.
        poll(lambda: status(server.state).process, SET_UP_WITHIN_S, until=again.pid.__eq__)
    assert 0 == again.stop()


@pytest.fixture(scope="module")
def hosts(shared_network: BuildNetwork, share: ShareNetwork) -> Network:
    """Build hosts that no test of this file changes."""
    built = shared_network(farm_topology(real_servers=1))
    share(built)
    return built


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"address": IPv4Address("192.0.2.99")}, r"--address 192\.0\.2\.99 .*192\.0\.2\.11"),
        ({"directors": ()}, "--director"),
        ({"directors": ("lb1",)}, "--director lb1"),
        ({"directors": ("http://127.0.0.1:8080",)}, "--address"),
        ({"directors": ("http://no.such.host.invalid:8080",)}, "--address"),
        ({"weight": 70000}, "--weight 70000"),
        ({"weight": -1}, "--weight -1"),
        ({"token_file": Path("/nonexistent")}, "--token-file /nonexistent"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_use_is_refused_with_the_flag(
    hosts: Network, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    """Before anything is touched, and by name."""
    config = AgentConfig(
        **{  # type: ignore[arg-type]
            "directors": (f"http://{hosts.address('lb1')}:8080",),
            "pools": ("web",),
            "state_dir": tmp_path / "state",
            **changes,
        }
    )
    before = dump(hosts["rs1"])
    with hosts["rs1"].enter(), pytest.raises(ConfigurationError, match=told):
        run(config)
    assert {} == differences(before, dump(hosts["rs1"]))


@pytest.mark.parametrize("running", [True, False])
def test_a_leave_without_a_director_undoes_nothing(server: Server, *, running: bool) -> None:
    """With the daemon and without it: status 1, the reason, and the way to do it all the same."""
    agent = server.start()
    serving = dump(server.node)
    if not running:
        agent.kill()
    result, said = server.leave(force=False)
    assert 1 == result
    assert "does not answer" in " ".join(said)
    assert "--force" in " ".join(said)
    assert {} == differences(serving, dump(server.node))
    assert running == agent.is_alive()


@pytest.mark.parametrize("running", [True, False])
def test_force_leaves_without_a_director(server: Server, *, running: bool) -> None:
    """With the daemon, which ends, and without it: status 0 and the host as it was found."""
    before = dump(server.node)
    agent = server.start()
    if not running:
        agent.kill()
    result, said = server.leave(force=True)
    assert (0, "this host is as it was found") == (result, said[-1])
    assert {} == differences(before, dump(server.node))
    assert ["lock"] == [path.name for path in server.state.iterdir()]
    if running:
        assert 0 == agent.wait(5)
    with pytest.raises(ConfigurationError, match="no agent has run"):
        last_config(server.state)


def test_a_leave_needs_no_flags(server: Server) -> None:
    """The last run's are remembered, with the address that was found out."""
    server.start().kill()
    remembered = last_config(server.state)
    assert server.address == remembered.address
    assert (server.config.directors, server.config.pools) == (
        remembered.directors,
        remembered.pools,
    )


@pytest.fixture
def node(network: BuildNetwork) -> Node:
    return network(farm_topology(real_servers=1))["rs1"]


@pytest.mark.parametrize(
    "change",
    [
        ["ip", "link", "set", "tunl0", "up"],
        ["ip", "address", "add", f"{VIP}/32", "dev", "tunl0"],
        ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"],
        ["ip", "link", "add", "late0", "type", "dummy"],
        ["ip", "route", "add", "203.0.113.0/24", "dev", "eth0", "table", "100"],
        ["ip", "-6", "route", "add", "2001:db8:9::/64", "dev", "eth0", "table", "100"],
        ["ip", "rule", "add", "from", f"{VIP}", "lookup", "100"],
        ["ip", "-6", "rule", "add", "from", "2001:db8:9::1", "lookup", "100"],
        ["ip", "address", "add", "2001:db8:9::1/128", "dev", "lo", "nodad"],
    ],
    ids=" ".join,
)
def test_the_kernel_tells_of_changes(node: Node, change: list[str]) -> None:
    """Links, addresses, routes, rules and rp_filter, as soon as they happen."""

    async def until_told() -> None:
        told = asyncio.Event()
        with host_events(told.set):
            process = await asyncio.create_subprocess_exec(*change)
            async with asyncio.timeout(5):
                await told.wait()
            assert 0 == await process.wait()

    with node.enter():
        asyncio.run(until_told())
