"""A director that answers whatever it likes, and damaged files, under a farm that serves."""

import os
from pathlib import Path

import pytest

from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from lvsctl.agent.state_dir import StateDir
from lvsctl.agent.status import AgentStatus, status
from lvsctl.errors import StoreError
from tests.kernel.agent_hosts import differences, dump
from tests.kernel.farms import VIP, farm, service, start
from tests.kernel.hostile import HostileDirector
from tests.support.hostile_director import CASES, Farm

SERVERS = ("rs1", "rs2")
TOLD_WITHIN_S = 30.0
MOST_GROWTH_KB = 40_000
"""Of the agent's memory, over all cases."""
PER_S = 20

IN_THE_LAB = [
    name
    for name in CASES
    if name.startswith(("VIPs: ", "tunnels: an inner", "tunnels: the", "tunnels: IPv6"))
] + [
    "head: 302 to itself",
    "head: 404",
    "head: 206, a part",
    "head: an ETag that is not ASCII",
    "head: headers without end",
    "body: a gzip bomb",
    "body: no end and no length",
    "body: chunks without end",
    "body: a body that breaks off",
    "body: objects in objects",
    "body: a million values",
    "body: not UTF-8",
    "document: another agent",
    "document: a farm without a name",
    "document: VIPs that are numbers",
    "document: forty thousand wrong VIPs",
    "tunnels: gue at port 70000",
    "tunnels: a path MTU of one byte",
    "tunnels: eth0 as its device",
    "tunnels: this host as the other end",
    "tunnels: a thousand ends",
]


def told(state: Path) -> str:
    """Return all that an agent says is wrong."""
    try:
        known: AgentStatus = status(state)
    except StoreError:  # while a file is being replaced
        return ""
    findings = [f"{each.subject} {each.detail} {each.cure}" for each in known.report.findings]
    return "\n".join([known.contact.problem, *findings]).strip()


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def test_there_are_enough() -> None:
    """The issue asks for 40, each once."""
    assert len(IN_THE_LAB) == len({*IN_THE_LAB} & CASES.keys()) >= 40


@pytest.mark.timeout(280)
def test_no_answer_of_a_director_takes_a_server_out(network: BuildNetwork, tmp_path: Path) -> None:
    """The host stays as it is, the agent lives in bounded memory, and not a request fails."""
    built = network(farm_topology(real_servers=2))
    daemons = start(built, tmp_path, farm([service()]), servers=SERVERS)
    node, state = built["rs1"], daemons.agent_state("rs1")
    assert 0 == daemons.agents["rs1"].stop()
    held = StateDir(state).assignments().current
    assert held is not None
    knows = Farm(
        farm_id=held.farm_id,
        agent="rs1",
        vips=(VIP,),
        rip=built.address("rs1"),
        network="192.0.2",
        gateway="192.0.2.1",
        director=built.address("lb1"),
        client=built.address("c1"),
        epoch=held.epoch,
        revision=held.revision,
    )
    hostile = HostileDirector(built["lb1"], built.address("lb1"), knows, tmp_path / "hostile")
    director = hostile.start()
    agent = daemons.start_agent("rs1", directors=(hostile.url,))
    poll(lambda: hostile.answered("") and not told(state), TOLD_WITHIN_S)
    before, memory = dump(node), memory_kb(agent.pid)

    with Load(built["c1"], VIP, per_s=PER_S) as load:
        for name in IN_THE_LAB:
            hostile.turn(name)
            expected = CASES[name].told
            poll(lambda name=name: hostile.answered(name), TOLD_WITHIN_S)
            poll(lambda expected=expected: expected in told(state), TOLD_WITHIN_S)
            assert agent.is_alive(), name
            assert {} == differences(before, dump(node)), name
            hostile.turn("")
            poll(lambda: hostile.answered("") and not told(state), TOLD_WITHIN_S)
        answers = load.stop()

    assert [] == [answer.error for answer in answers if answer.error]
    assert len(answers) > PER_S
    assert memory_kb(agent.pid) - memory < MOST_GROWTH_KB
    assert "Traceback" not in agent.log.read_text()
    assert 0 == agent.stop()
    director.stop()


DAMAGES = {
    "assignments.json is garbage": lambda state: _write(state / "assignments.json", b"\0" * 999),
    "found.json has a flipped bit": lambda state: _flip(state / "found.json"),
    "found.json is a directory": lambda state: _folder(state / "found.json"),
    "config.json is a pipe": lambda state: _pipe(state / "config.json"),
    "assignments.json is of a newer version": lambda state: _write(
        state / "assignments.json", b'{"version": 99, "content": {}}'
    ),
    "lock is a link": lambda state: _link(state / "lock"),
}
"""The rest of the table is in tests/unit/agent/test_damaged_files.py."""


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _flip(path: Path) -> None:
    raw = path.read_bytes()
    at = raw.index(b"198.51.100") + 4
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "config.json")


@pytest.mark.timeout(200)
def test_no_damaged_file_takes_a_server_out(network: BuildNetwork, tmp_path: Path) -> None:
    """An agent that starts with it lives or ends with a message; not a request fails."""
    built = network(farm_topology(real_servers=2))
    daemons = start(built, tmp_path, farm([service()]), servers=SERVERS)
    node, state = built["rs1"], daemons.agent_state("rs1")
    before = dump(node)

    with Load(built["c1"], VIP, per_s=PER_S) as load:
        for name, damage in DAMAGES.items():
            daemons.agents["rs1"].stop()
            damage(state)
            agent = daemons.start_agent("rs1")
            poll(
                lambda agent=agent: not agent.is_alive() or "joined" in agent.log.read_text(),
                TOLD_WITHIN_S,
            )
            if not agent.is_alive():
                assert str(state) in agent.log.read_text(), name
                for path in (state / "assignments.json", state / "lock"):
                    path.unlink()
                daemons.start_agent("rs1")
            assert {} == differences(before, dump(node)), name
        answers = load.stop()

    assert [] == [answer.error for answer in answers if answer.error]
