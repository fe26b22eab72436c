"""Hostile requests against a director of a real kernel: its table and its addresses stay."""

import socket
from pathlib import Path

from deploy.lab.daemons import API_PORT, FarmDaemons
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.network import Network
from deploy.lab.topology import farm_topology
from tests.kernel.farms import SERVERS, declared, farm
from tests.support.hostile_requests import HostileRequest, exchange, hostile_requests

ANSWERS_WITHIN_S = 60


def kernel_of(network: Network) -> str:
    """Return the director's virtual services and addresses as the usual tools show them."""
    node = network["lb1"]
    return node.run(["ipvsadm", "-Sn"]).stdout + node.run(["ip", "-o", "address"]).stdout


def send(daemons: FarmDaemons, request: HostileRequest) -> int:
    """Send a request from the director's host; return the status of the answer."""
    address = daemons.network.address("lb1")
    with (
        daemons.network["lb1"].enter(),
        socket.create_connection((address, API_PORT), ANSWERS_WITHIN_S) as connection,
    ):
        return exchange(connection, request, daemons.token).status


def test_no_hostile_request_reaches_the_kernel(network: BuildNetwork, tmp_path: Path) -> None:
    """Each is refused, by one director for all; it answers good clients afterwards as before."""
    built = network(farm_topology())
    daemons = FarmDaemons(built, tmp_path)
    director = daemons.start_director()
    pool = declared(built, SERVERS, dict.fromkeys(SERVERS, 100))
    assert daemons.api.put("/v1/farm?wait=30", farm(pools=[pool]))["applied"]
    before, stored = kernel_of(built), daemons.api.get("/v1/farm")
    assert all(f"-r {built.address(name)}:80" in before for name in SERVERS)

    for request in hostile_requests():
        assert request.status == send(daemons, request), request
        assert before == kernel_of(built), request

    assert stored == daemons.api.get("/v1/farm")
    assert 0 == director.stop()
