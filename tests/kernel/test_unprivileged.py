"""Director, agents and programs as the units run them: users of their own, two capabilities.

They do their whole job, by packets; whatever they may not do would be in their logs.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.client import requests, served_by
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.poll import poll
from deploy.lab.process import NodeProcess
from deploy.lab.topology import farm_topology
from lvsctl.agent.main import last_config, leave
from lvsctl.health.programs.processes import own_cgroup
from lvsctl.health.programs.run import ProgramFolder
from lvsctl.health.programs.service import Service
from lvsctl.privileges import CAP_NET_ADMIN, CAP_NET_RAW, DAEMON_CAPABILITIES, act_for, become
from tests.kernel.checked_farms import CHECK, wait_for_health
from tests.kernel.farms import VIP, farm, ready_agents, service

DAEMON, PROGRAMS = 64501, 64502
SEEN_WITHIN_S = 60.0
SERVERS = ("rs1", "rs2")
ON_LINK, ON_LINK6 = "192.0.2.99", "2001:db8:2::a:10"
"""VIPs that the neighbours are asked for, and told of."""
REFUSALS = ("not permitted", "ermission denied", "EPERM", "EACCES", "Traceback", "CAP_")
JUDGE = """#!/bin/sh
setsid -f sleep 1000
[ "$(id -u)" = 64502 ] && [ ! -e "$0.$LVSCTL_RIP" ]
"""


@dataclass(frozen=True)
class FaultLocation:
    """Folders that every user can reach.

    Attributes:
        path: Of the daemons' state.
        programs: With the programs, below it.
        cgroup: That is delegated to the service of programs.
    """

    path: Path
    programs: Path
    cgroup: Path


@pytest.fixture
def place() -> Iterator[FaultLocation]:
    with tempfile.TemporaryDirectory(prefix="lvsctl-") as made:
        path = Path(made)
        path.chmod(0o755)
        hierarchy = path / "cgroup"
        cgroup = hierarchy / "lvsctl-exec"
        for folder in (path / "checks", hierarchy):
            folder.mkdir()
        (path / "checks" / "judge").write_text(JUDGE)
        (path / "checks" / "judge").chmod(0o755)
        subprocess.run(["mount", "-t", "cgroup2", "none", hierarchy], check=True)
        try:
            cgroup.mkdir()
            for each in (cgroup, cgroup / "cgroup.procs"):
                os.chown(each, PROGRAMS, PROGRAMS)
            yield FaultLocation(path, path / "checks", cgroup)
            (cgroup / "cgroup.kill").write_text("1")  # as systemd does when a service ends
            poll((cgroup / "cgroup.events").read_text, 30, until=lambda said: "populated 0" in said)
            for each in (*cgroup.glob("*/"), cgroup):
                each.rmdir()
        finally:
            subprocess.run(["umount", "--lazy", hierarchy], check=True)


def start_daemons(network: Network, place: FaultLocation, **director: object) -> FarmDaemons:
    """Start a director and two agents without privileges but theirs."""
    confine = partial(become, DAEMON, DAEMON, DAEMON_CAPABILITIES)
    daemons = FarmDaemons(network, place.path, confine=confine)
    for folder in (daemons.director_state, *map(daemons.agent_state, SERVERS)):
        folder.mkdir()
        os.chown(folder, DAEMON, DAEMON)
    os.chown(daemons.token_file(), 0, DAEMON)
    daemons.token_file().chmod(0o640)
    daemons.start_director(**director)
    daemons.api.put("/v1/farm?wait=10", document())
    for name in SERVERS:
        start_application(network[name], Application(name))
        daemons.start_agent(name, ("web", "other", "six"))
    poll(lambda: ready_agents(daemons), 60, until=lambda ready: ready >= set(SERVERS))
    return daemons


def document() -> Json:
    """Return a farm that uses most of what director and agents can do to their kernels."""
    judge = {"type": "exec", "program": "judge", "through": "direct", "interval": "500ms"}
    return farm(
        [
            service(),
            service("other", vip=ON_LINK, scheduler="mh", pool="other"),
            service("six", vip=ON_LINK6, pool="six"),
        ],
        [
            {"name": "web", "health_checks": [CHECK, {**judge, "timeout": "5s", "fall": 1}]},
            {"name": "other", "tunnel": {"type": "gue", "port": 6080}},
            {"name": "six", "tunnel": {"type": "gre"}},
        ],
        settings={"sysctls": {"sloppy_tcp": 1}, "timeouts": {"tcp": "800s"}},
    )


def start_programs(network: Network, place: FaultLocation) -> Path:
    """Start the service of programs on the director's host; return the path of its socket."""
    path = place.path / "exec.sock"

    def run() -> None:
        (place.cgroup / "cgroup.procs").write_text("0")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            os.chown(path, 0, DAEMON)
            path.chmod(0o660)
            listener.listen()
            become(PROGRAMS, PROGRAMS)
            folder = ProgramFolder(place.programs, cgroups=own_cgroup())
            Service(listener, folder, {DAEMON}).serve()

    network["lb1"].fork(run, "exec")
    poll(path.exists, 30)
    return path


def privileges(process: NodeProcess) -> tuple[int, int]:
    """Return a process's user and its effective capabilities."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    fields: dict[str, Any] = dict(line.split(":\t", 1) for line in status.splitlines())
    return int(fields["Uid"].split()[0]), int(fields["CapEff"], 16)


def refusals(processes: list[NodeProcess]) -> list[str]:
    """Return the lines of logs that say what was not allowed."""
    lines = [line for process in processes for line in process.log.read_text().splitlines()]
    return [line for line in lines if any(word in line for word in REFUSALS)]


def test_two_capabilities_are_enough(place: FaultLocation, network: BuildNetwork) -> None:
    """For table, VIPs, sysctls, neighbours, tunnels, probes, programs and sockets."""
    hosts = network(farm_topology(real_servers=2))
    programs = start_programs(hosts, place)
    daemons = start_daemons(hosts, place, exec_socket=programs)
    director, agents = daemons.director, [*daemons.agents.values()]
    assert director is not None
    expected = (DAEMON, 1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW)
    assert {expected} == set(map(privileges, [director, *agents]))

    wait_for_health(daemons, SEEN_WITHIN_S, rs1="up", rs2="up")
    for address in (VIP, ON_LINK, ON_LINK6):
        assert set(SERVERS) >= set(served_by(requests(hosts["c1"], address, count=4)))
    assert "1" == hosts["lb1"].read_sysctl("net.ipv4.vs.sloppy_tcp")
    assert "800 " in hosts["lb1"].run(["ipvsadm", "-L", "--timeout"]).stdout

    (place.programs / f"judge.{hosts.address('rs2')}").touch()
    wait_for_health(daemons, SEEN_WITHIN_S, rs1="up", rs2="down")
    (place.programs / f"judge.{hosts.address('rs2')}").unlink()
    wait_for_health(daemons, SEEN_WITHIN_S, rs1="up", rs2="up")
    hosts["rs1"].set_link("tunl0", up=False)  # which its agent mends
    poll(lambda: hosts["rs1"].run(["ip", "link", "show", "tunl0"]).stdout, 30, until=is_up)

    with hosts["lb1"].enter(), closing(socket.socket(socket.AF_UNIX)) as local:
        local.connect(str(daemons.director_state / "director.sock"))
        local.sendall(b"GET /v1/mode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert local.recv(100).startswith(b"HTTP/1.1 200 ")

    daemons.api.delete("/v1/services/other?wait=10")
    poll(lambda: ON_LINK in hosts["lb1"].run(["ip", "addr"]).stdout, 30, until=lambda on: not on)
    assert [] == refusals([director, *agents])
    assert [] == sleepers(place.cgroup)
    assert 0 == director.stop()


def sleepers(cgroup: Path) -> list[str]:
    """Return what programs have left running in a session of its own, if nothing runs now."""
    poll(lambda: not list(cgroup.glob("program-*")), 30)
    names = [path.read_text().strip() for path in Path("/proc").glob("[0-9]*/comm")]
    return [name for name in names if name == "sleep"]


def is_up(shown: str) -> bool:
    """Tell whether ip-link(8) shows a device that is up."""
    return "UP" in shown


def test_root_leaves_for_an_agent_of_another_user(
    place: FaultLocation, network: BuildNetwork
) -> None:
    """With and without the daemon; nothing of root's is left in its folder."""
    hosts = network(farm_topology(real_servers=2))
    daemons = start_daemons(hosts, place)

    def leave_as_root(server: str) -> None:
        state = daemons.agent_state(server)
        act_for(state)
        os._exit(leave(last_config(state), 5, force=True, say=print))

    assert 0 == daemons.agents["rs2"].stop()
    for server in SERVERS:
        left = hosts[server].fork(partial(leave_as_root, server), "leave")
        assert 0 == left.wait(60), left.tail()
        assert VIP not in hosts[server].run(["ip", "addr"]).stdout
        owners = {path.stat().st_uid for path in daemons.agent_state(server).rglob("*")}
        assert {DAEMON} == owners
    assert 0 == daemons.agents["rs1"].wait(30)
