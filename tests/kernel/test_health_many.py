"""Two hundred real servers, half of which die at once: every verdict right, and the table."""

import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.farms import VIP, farm, service
from tests.kernel.real_servers import set_up_by_hand

EACH = 100
ENTRY_LIVES_S = 60
"""So long IPVS keeps the entry of a connection that was never answered (SYN_RECV)."""
CHECK: Json = {"type": "http", "port": 80, "body": '"server"', "timeout": "800ms"}
DETECTED_S = 2 * 1.1 + 2 * 1 + 0.8 + 1.5
RISEN_S = 2 * 1.1 + 1 + 1.5
HALVES = {"rs1": "10.1.0", "rs2": "10.2.0"}
DEAD = [f"{HALVES['rs2']}.{n}" for n in range(1, EACH + 1)]
ALIVE = [f"{HALVES['rs1']}.{n}" for n in range(1, EACH + 1)]
DROP = ["-p", "tcp", "--dport", "80", "-j", "DROP"]


def build(network: Network, state: Path) -> FarmDaemons:
    """Make two hosts a hundred real servers each, and declare all of them."""
    for name, prefix in HALVES.items():
        set_up_by_hand(network[name], VIP)
        for number in range(1, EACH + 1):
            network[name].add_address("lo", f"{prefix}.{number}/32")
        start_application(network[name], Application(name))
        network["lb1"].add_route(f"{prefix}.0/24", via=network.address(name))
    # Far fewer than there are probes: none may come from a port of the kernel's choice.
    network["lb1"].write_sysctl("net.ipv4.ip_local_port_range", "60000 60063")
    servers = [{"name": address, "address": address} for address in (*ALIVE, *DEAD)]
    pool = {"name": "web", "health_checks": [CHECK], "real_servers": servers}
    daemons = FarmDaemons(network, state)
    daemons.start_director()
    daemons.api.put("/v1/farm?wait=30", farm([service()], [pool]))
    return daemons


def destinations(director: Node) -> set[str]:
    """Return the destinations that take connections, of all services but those of probes."""
    with director.enter():
        _, _, _, *lines = Path("/proc/thread-self/net/ip_vs").read_text().splitlines()
    found: set[str] = set()
    of_probes = False
    for line in lines:
        head, at, *rest = line.split()
        if head in ("TCP", "FWM"):
            of_probes = head == "FWM"
        elif head == "->" and not of_probes and rest[1] != "0":
            found.add(str(ip_address(int(at.partition(":")[0], 16))))
    return found


def wait_for(director: Node, expected: set[str], within_s: float) -> None:
    poll(lambda: destinations(director), within_s, lambda found: found == expected)


def healths(daemons: FarmDaemons) -> dict[str, Any]:
    found: Any = daemons.api.get("/v1/pools/web")["status"]
    return {each["name"]: each["health"] for each in found["real_servers"]}


@pytest.mark.timeout(400)
def test_half_of_two_hundred_die_and_return(network: BuildNetwork, tmp_path: Path) -> None:
    """No other verdict changes, though their probes' entries linger; nor does a restart change one.

    The director is killed while they are dead, and has 64 ephemeral ports.
    """
    built = network(farm_topology(real_servers=2))
    daemons = build(built, tmp_path)
    lb1, rs2 = built["lb1"], built["rs2"]
    everyone = {*ALIVE, *DEAD}
    wait_for(lb1, everyone, 60)

    rs2.run(["iptables-legacy", "-A", "INPUT", *DROP])
    dead_since = time.monotonic()
    wait_for(lb1, {*ALIVE}, 3 * DETECTED_S)
    expected = {**dict.fromkeys(ALIVE, "up"), **dict.fromkeys(DEAD, "down")}
    assert expected == healths(daemons)

    assert daemons.director is not None
    daemons.director.kill()
    daemons.start_director()
    left_s = dead_since + ENTRY_LIVES_S - time.monotonic()
    seen = {frozenset(ALIVE)}

    def all_this_time() -> bool:
        seen.add(frozenset(destinations(lb1)))
        return time.monotonic() > dead_since + ENTRY_LIVES_S

    poll(all_this_time, left_s + 10)
    assert {frozenset(ALIVE)} == seen
    assert expected == healths(daemons)

    rs2.run(["iptables-legacy", "-F", "INPUT"])
    wait_for(lb1, everyone, 3 * RISEN_S)
    assert dict.fromkeys(everyone, "up") == healths(daemons)
    told = daemons.api.ask("GET", "/v1/events?after=0&follow=false").text
    assert "server-down" in told
    assert not [
        block
        for block in told.split("\n\n")
        if "server-down" in block and f"web/{HALVES['rs1']}" in block
    ]
