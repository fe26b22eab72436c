"""Agents in a farm: drift, absence, reboot, joining and leaving under load."""

import shutil
from pathlib import Path

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import Stream, requests, served_by
from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.farms import SERVERS, VIP, farm, service, start
from tests.kernel.test_farm_changes import has_address, saved

CHECK_S = 5.0
"""An agent looks at its host this often."""
REPAIRED_WITHIN_S = 3 * CHECK_S


DAMAGES = {
    "ip link set tunl0 down": "tunl0",
    f"ip address del {VIP}/32 dev tunl0": VIP,
    "sysctl -qw net.ipv4.conf.all.rp_filter=1": "net.ipv4.conf.all.rp_filter",
    "sysctl -qw net.ipv4.conf.tunl0.rp_filter=1": "net.ipv4.conf.tunl0.rp_filter",
    "sysctl -qw net.ipv4.conf.all.arp_ignore=0": "net.ipv4.conf.all.arp_ignore",
    "sysctl -qw net.ipv4.conf.all.arp_announce=0": "net.ipv4.conf.all.arp_announce",
}
"""What is done by hand, and what the agent must name as the cause."""


def test_drift_is_repaired_and_reported_with_its_cause(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Each time the server serves again, and the director can say what was wrong."""
    built = network(farm_topology(real_servers=1))
    daemons = start(built, tmp_path, servers=["rs1"])

    for damage, cause in DAMAGES.items():
        built["rs1"].run(damage.split())

        poll(lambda cause=cause: cause in str(findings_of(daemons, "rs1")), REPAIRED_WITHIN_S)
        poll(lambda: not requests(built["c1"], VIP)[0].error, REPAIRED_WITHIN_S)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_serves_on_without_its_agent_and_its_director(
    network: BuildNetwork, tmp_path: Path, end: str
) -> None:
    """Stopped or killed, and started again with the director away: not a request fails."""
    built = network(farm_topology())
    daemons = start(built, tmp_path)

    with Load(built["c1"], VIP, per_s=50) as load:
        getattr(daemons.agents["rs1"], end)()
        at_end = len(load.so_far())
        poll(lambda: len(load.so_far()) > at_end + 100, 30)
        assert daemons.director is not None
        daemons.director.kill()
        daemons.start_agent("rs1")
        built["rs1"].run(["ip", "link", "set", "tunl0", "down"])
        poll(lambda: "UP" in built["rs1"].run(["ip", "link", "show", "tunl0"]).stdout, 15)
        repaired = len(load.so_far())
        poll(lambda: len(load.so_far()) > repaired + 100, 30)
        answers = load.stop()

    # Only while tunl0 was down by our own hand may its server have refused.
    assert sum(bool(answer.error) for answer in answers[:at_end]) == 0
    assert set(SERVERS) == set(served_by(requests(built["c1"], VIP, count=6)))


def test_after_a_reboot_a_server_sets_itself_up_from_the_last_assignment(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """With the director away, a host that starts from nothing serves as before."""
    built = network(farm_topology(real_servers=1))
    daemons = start(built, tmp_path, servers=["rs1"])
    assert daemons.director is not None
    daemons.director.kill()
    daemons.agents["rs1"].kill()
    built.remove()

    rebuilt = network(farm_topology(real_servers=1))
    assert not has_address(rebuilt, "rs1", VIP)
    FarmDaemons(rebuilt, tmp_path, token=daemons.token).start_agent("rs1")

    poll(lambda: has_address(rebuilt, "rs1", VIP), REPAIRED_WITHIN_S)
    assert "0" == rebuilt["rs1"].read_sysctl("net.ipv4.conf.tunl0.rp_filter")


@pytest.mark.timeout(300)
def test_servers_join_and_leave_under_load(network: BuildNetwork, tmp_path: Path) -> None:
    """From one server to three and back: no request fails and no packet loops."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, servers=["rs1"])
    for name in ("rs2", "rs3"):
        # A host that forwards would send a packet for a VIP that it has not yet back: a loop.
        built[name].write_sysctl("net.ipv4.ip_forward", 1)
    _start_applications(built, ["rs2", "rs3"])

    with (
        Capture(built["rs2"]) as at_rs2,
        Load(built["c1"], VIP, per_s=100, timeout_s=10) as load,
    ):
        for name in ("rs2", "rs3"):
            daemons.start_agent(name)
        daemons.wait_until_served_by("web", SERVERS)
        joined = len(load.so_far())
        poll(lambda: len(load.so_far()) > joined + 300, 30)
        for name in ("rs2", "rs3"):
            assert 0 == leave(daemons, name, deadline_s=10)
        daemons.wait_until_served_by("web", ["rs1"])
        left = len(load.so_far())
        poll(lambda: len(load.so_far()) > left + 100, 30)
        answers = load.stop()
        sent = at_rs2.packets(outgoing=True)

    assert [] == [answer for answer in answers if answer.error]
    assert set(SERVERS) == {answer.server for answer in answers}
    tunnelled_back = [packet for packet in sent if packet.outer]
    forwarded_back = [packet for packet in sent if VIP == packet.ip.destination]
    assert ([], []) == (tunnelled_back, forwarded_back)


def leave(daemons: FarmDaemons, name: str, deadline_s: int) -> int:
    """Run `lvsctl agent leave` on a real server; return its exit status."""
    command = [
        *("lvsctl", "agent", "leave", "--deadline", f"{deadline_s}s"),
        *("--state-dir", str(daemons.agent_state(name))),
    ]
    done = daemons.network[name].run(command, check=False, within_s=deadline_s + 60)
    return done.returncode


def test_leaving_restores_the_host_and_cuts_nothing_before_the_deadline(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """The connection lives until the deadline, no new one comes, and the host is as it was."""
    built = network(farm_topology(real_servers=2))
    before = configuration(built, "rs1")
    daemons = start(built, tmp_path, farm([service(ports=[80, 7])]), servers=["rs1", "rs2"])
    streams = [Stream(built["c1"], VIP) for _ in range(2)]
    mine = next(stream for stream in streams if stream.server == "rs1")
    deadline_s = 8
    leaving = built["rs1"].start(
        [
            *("lvsctl", "agent", "leave", "--deadline", f"{deadline_s}s"),
            *("--state-dir", str(daemons.agent_state("rs1"))),
        ],
        "leave",
    )

    daemons.wait_until_served_by("web", ["rs2"])
    assert f"-r {built.address('rs1')}:7 -i -w 0" in saved(built)
    mine.check()
    assert {"rs2": 10} == dict(served_by(requests(built["c1"], VIP, count=10)))
    mine.check()
    assert 0 == leaving.wait(deadline_s * 3 + 30)

    assert built.address("rs1") not in saved(built)
    assert before == configuration(built, "rs1")
    for stream in streams:
        stream.__exit__(None, None, None)


def configuration(network: Network, name: str) -> dict[str, str]:
    """Return everything about a host's network that an agent may change."""
    node = network[name]
    shown = {
        what: node.run(["ip", "-o", *what.split()]).stdout
        for what in ("address", "-4 rule", "-4 route show table all")
    }
    links = node.run(["ip", "-o", "link"]).stdout
    shown["link"] = links.replace("qdisc noqueue", "qdisc noop")
    sysctls = node.run(["sysctl", "-a", "-r", r"^net\.ipv4\.(conf|ip_forward)"]).stdout
    return {**shown, "sysctl": sysctls}


def test_without_a_director_leaving_undoes_nothing_unless_forced(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """The exit status is 1 and the server keeps serving; --force undoes it all the same."""
    built = network(farm_topology(real_servers=1))
    before = configuration(built, "rs1")
    daemons = start(built, tmp_path, servers=["rs1"])
    assert daemons.director is not None
    daemons.director.kill()

    assert 1 == leave(daemons, "rs1", deadline_s=2)
    assert has_address(built, "rs1", VIP)

    state_dir = str(daemons.agent_state("rs1"))
    command = ["lvsctl", "agent", "leave", "--force", "--deadline", "1s", "--state-dir", state_dir]
    assert 0 == built["rs1"].run(command, check=False, within_s=90).returncode
    assert before == configuration(built, "rs1")


def test_another_farm_removes_nothing_from_a_server(network: BuildNetwork, tmp_path: Path) -> None:
    """A director whose store is new knows no VIP; the agent keeps its own and joins again."""
    built = network(farm_topology(real_servers=1))
    daemons = start(built, tmp_path, servers=["rs1"])
    assert daemons.director is not None
    daemons.director.kill()
    shutil.rmtree(daemons.director_state)
    daemons.start_director()
    daemons.api.put("/v1/farm", {"services": [], "pools": [{"name": "web"}]})

    reported = poll(lambda: findings_of(daemons, "rs1"), 30)

    assert f"rs1 keeps {VIP}" in str(reported)
    assert has_address(built, "rs1", VIP)


def findings_of(daemons: FarmDaemons, agent: str) -> object:
    """Return what an agent that the director knows has reported wrong, empty for an unknown one."""
    response = daemons.api.ask("GET", f"/v1/agents/{agent}")
    return response.json()["findings"] if response.is_success else ()


def _start_applications(network: Network, names: list[str]) -> None:
    for name in names:
        start_application(network[name], Application(name, (80,), (VIP,)))
