"""Clients without a token, while servers are checked and serve."""

import asyncio
from pathlib import Path

import pytest

from deploy.lab.daemons import API_PORT, FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology
from tests.kernel.checked_farms import CHECK, all_up, checked_farm, wait_for_health
from tests.kernel.farms import VIP, start
from tests.kernel.strangers import attack
from tests.support.process_usage import descriptors, peak_memory_bytes

CHECK_PORT = 81
"""What is checked is apart from what serves, so that a server that fails still answers clients."""
DESCRIPTORS = 1024
IDLE = 1100
MOST_MEMORY_BYTES = 30 * 1024 * 1024
LOG_LINES = 20


@pytest.mark.timeout(300)
def test_no_server_stays_in_the_table_because_of_strangers(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """1,100 idle connections and endless requests: a server that fails is out in time.

    A good client is answered, no request of the farm's fails, memory, descriptors and log stay.
    """
    built = network(farm_topology())
    # Removed from the table, a server would lose the requests that it is answering just then.
    pool = {"health_checks": [{**CHECK, "port": CHECK_PORT}], "on_down": "quiesce"}
    daemons = start(
        built,
        tmp_path,
        checked_farm(pool=pool),
        http_ports=(80, CHECK_PORT),
        descriptors=DESCRIPTORS,
    )
    poll(lambda: all_up(daemons), 60)
    director = daemons.director
    assert director is not None
    memory_bytes, logged = peak_memory_bytes(director.pid), lines_of(director.log)

    address = built.address("lb1")
    with Load(built["c1"], VIP, per_s=50) as load:
        attacker = built["c1"].fork(lambda: asyncio.run(attack(address, API_PORT, IDLE)), "attack")
        poll(lambda: evicted(daemons), 60)
        refuse_checks(daemons)
        wait_for_health(daemons, rs1="down", rs2="up", rs3="up")
        accept_checks(daemons)
        wait_for_health(daemons, rs1="up", rs2="up", rs3="up")
        assert descriptors(director.pid) < DESCRIPTORS * 3 // 4
        attacker.kill()
        answers = load.stop()

    assert [] == [answer for answer in answers if answer.error]
    assert peak_memory_bytes(director.pid) - memory_bytes < MOST_MEMORY_BYTES
    assert lines_of(director.log) - logged < LOG_LINES


def evicted(daemons: FarmDaemons) -> bool:
    """Say whether there were more connections than there may be."""
    assert daemons.director is not None
    return "too many anonymous connections" in daemons.director.log.read_text()


def refuse_checks(daemons: FarmDaemons) -> None:
    reject = ["-p", "tcp", "--dport", str(CHECK_PORT), "-j", "REJECT", "--reject-with", "tcp-reset"]
    daemons.network["rs1"].run(["iptables-legacy", "-A", "INPUT", *reject])


def accept_checks(daemons: FarmDaemons) -> None:
    daemons.network["rs1"].run(["iptables-legacy", "-F", "INPUT"])


def lines_of(log: Path) -> int:
    """Return how long a log is."""
    return len(log.read_text().splitlines())
