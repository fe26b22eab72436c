"""A client's packets through the real director and agents, by every scheduler."""

import re
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import datagrams, request, requests, served_by
from deploy.lab.daemons import FarmDaemons
from deploy.lab.fixtures import BuildNetwork, ShareNetwork
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.packets import IPIP, Packet, Tcp, TcpFlag
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip
from lvsctl.ipvs.hashing import Candidate, maglev_choice, maglev_table, source_hash_choice
from tests.kernel.farms import (
    SERVERS,
    VIP,
    declared,
    farm,
    ready_agents,
    revision,
    service,
    start,
)

EVEN = Counter(dict.fromkeys(SERVERS, 10))
CLIENTS = 20
WEIGHTS = {"rs1": 3, "rs2": 2, "rs3": 1}
ON_TWO_PORTS, OTHER, WEIGHTED, LEAST, MAGLEV, MAGLEV_BY_ADDRESS, SOURCE, STICKY, MARKED = map(
    vip, range(11, 20)
)
MARK = 7


@pytest.fixture(scope="module")
def shared(
    shared_network: BuildNetwork, share: ShareNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Network:
    """Build a farm with a service for each test, and let nobody change it."""
    built = shared_network(farm_topology(client_addresses=CLIENTS))
    built["lb1"].run(
        [
            *("iptables-legacy", "-t", "mangle", "-A", "PREROUTING", "-d", MARKED, "-p", "tcp"),
            *("-m", "multiport", "--dports", "80,81", "-j", "MARK", "--set-mark", str(MARK)),
        ]
    )
    services = [
        service(),
        service("ports", vip=ON_TWO_PORTS, ports=[80, 81]),
        service("other", vip=OTHER),
        service("echo", protocol="udp", ports=[7]),
        service("weighted", vip=WEIGHTED, scheduler="wrr", pool="weighted"),
        service("least", vip=LEAST, scheduler="wlc"),
        service("mh", vip=MAGLEV, scheduler="mh"),
        service("mh-address", vip=MAGLEV_BY_ADDRESS, scheduler="mh", flags=["mh-fallback"]),
        service("sh", vip=SOURCE, scheduler="sh"),
        service("sticky", vip=STICKY, persistence={"timeout": "300s", "netmask": 32}),
        {"name": "marked", "vip": MARKED, "fwmark": MARK, "scheduler": "rr", "pool": "web"},
    ]
    pools = [{"name": "web"}, {**declared(built, SERVERS, WEIGHTS), "name": "weighted"}]
    daemons = FarmDaemons(built, tmp_path_factory.mktemp("shared"))
    daemons.start_director()
    daemons.api.put("/v1/farm?wait=10", farm(services, pools))
    for name in SERVERS:
        start_application(built[name], Application(name, (80, 81), (VIP,)))
        daemons.start_agent(name, ("web", "weighted"))
    poll(lambda: ready_agents(daemons), 60, until=lambda ready: ready == set(SERVERS))
    poll(lambda: serving(daemons), 30, until=lambda found: found == {True})
    share(built, lambda: {"revision": revision(daemons)})
    return built


def serving(daemons: FarmDaemons) -> set[bool]:
    """Say of the services whether each has all of its destinations in the kernel."""
    services = daemons.api.get("/v1/services")["services"]
    return {
        each["status"]["state"] == "applied"
        and len(each["status"]["destinations"]) == len(SERVERS)
        and all(part["weight"] for part in each["status"]["destinations"])
        for each in services  # type: ignore[attr-defined]
    }


def from_every_address(client: Node, address: str) -> dict[str, str | None]:
    """Ask once from each address of the client's first device; return who answered each."""
    addresses = [f"192.0.2.{201 + number}" for number in range(CLIENTS)]
    return {source: request(client, address, source=source).server for source in addresses}


def test_round_robin_is_even_and_the_answer_comes_straight(shared: Network) -> None:
    """Thirty connections are ten for each server; DIP→RIP goes in, VIP→CIP comes straight."""
    check_round_robin(shared)


def test_round_robin_reaches_servers_behind_a_router(network: BuildNetwork, tmp_path: Path) -> None:
    """All is the same where neither client, VIPs nor servers are on the director's link."""
    built = network(
        farm_topology(real_servers=0, far_real_servers=3, client_on_link=False, vips_on_link=False)
    )
    start(built, tmp_path)
    check_round_robin(built)


def check_round_robin(built: Network) -> None:
    cip = built.address("c1")

    with Capture(built["lb1"]) as at_director, Capture(built["rs1"]) as at_server:
        answers = requests(built["c1"], VIP, count=30)
        incoming = at_server.packets(outgoing=False)
        outgoing = at_server.packets(outgoing=True)
        passed = at_director.packets()

    assert EVEN == served_by(answers)
    assert {cip} == {answer.client for answer in answers}
    tunnelled = [packet for packet in incoming if packet.outer]
    assert {(built.address("lb1"), built.address("rs1"), IPIP)} == {
        (packet.outer.source, packet.outer.destination, packet.outer.protocol)
        for packet in tunnelled
        if packet.outer
    }
    assert {(cip, VIP)} == {packet.ip.ends for packet in tunnelled}
    assert {(VIP, cip)} == {packet.ip.ends for packet in outgoing if is_http(packet)}
    assert [] == [packet for packet in passed if (VIP, cip) == packet.ip.ends]


def is_http(packet: Packet) -> bool:
    """Say whether a packet is of the service."""
    return isinstance(packet.transport, Tcp) and 80 in (
        packet.transport.source_port,
        packet.transport.destination_port,
    )


def test_weighted_round_robin_follows_the_weights(shared: Network) -> None:
    """Weights 3, 2 and 1 make 15, 10 and 5 of 30."""
    found = served_by(requests(shared["c1"], WEIGHTED, count=30))

    assert Counter(rs1=15, rs2=10, rs3=5) == found


def test_weighted_least_connection_uses_every_server(shared: Network) -> None:
    """Of thirty connections each server has at least one, and none above half."""
    found = served_by(requests(shared["c1"], LEAST, count=30))

    assert set(SERVERS) == set(found)
    assert max(found.values()) <= 15


def newest_first(director: Node, address: str) -> tuple[Candidate, ...]:
    """Return a service's destinations, all of weight 100, in the kernel's own order."""
    listed = director.run(["ipvsadm", "-Ln", "--nosort", "-t", f"{address}:80"]).stdout
    found = re.findall(r"-> ([\d.]+):80 +Tunnel", listed)
    return tuple(Candidate(IPv4Address(each), 80, 100, 100) for each in found)


def name_of(names: Mapping[str, str], chosen: Candidate | None) -> str:
    """Return the name of the server that a scheduler chose."""
    assert chosen is not None
    return names[str(chosen.address)]


def test_maglev_chooses_as_its_table_says(shared: Network) -> None:
    """With mh-port each connection's server is that of its client's address and port."""
    table = maglev_table(newest_first(shared["lb1"], MAGLEV))
    names = {shared.address(name): name for name in SERVERS}

    for answer in requests(shared["c1"], MAGLEV, count=30):
        assert answer.client is not None
        assert answer.port is not None
        client = IPv4Address(answer.client)
        chosen = maglev_choice(table, client, answer.port, fallback=True)
        assert name_of(names, chosen) == answer.server


def test_maglev_without_ports_and_source_hashing_keep_a_client(shared: Network) -> None:
    """Each client address has the server that the kernel's table gives it."""
    names = {shared.address(name): name for name in SERVERS}
    table = maglev_table(newest_first(shared["lb1"], MAGLEV_BY_ADDRESS))
    listed = newest_first(shared["lb1"], SOURCE)

    for client, server in from_every_address(shared["c1"], MAGLEV_BY_ADDRESS).items():
        chosen = maglev_choice(table, IPv4Address(client), 0, fallback=True)
        assert name_of(names, chosen) == server
    for client, server in from_every_address(shared["c1"], SOURCE).items():
        chosen = source_hash_choice(listed, IPv4Address(client), 0, fallback=False)
        assert name_of(names, chosen) == server


def test_udp(shared: Network) -> None:
    """Thirty datagrams of thirty sockets are ten for each server, and answers come from the VIP."""
    assert EVEN == served_by(datagrams(shared["c1"], VIP, count=30))


def test_one_service_on_two_ports_and_two_services_on_one_pool(shared: Network) -> None:
    """Each port, and each VIP, is balanced by itself."""
    for address, port in ((ON_TWO_PORTS, 80), (ON_TWO_PORTS, 81), (OTHER, 80)):
        assert EVEN == served_by(requests(shared["c1"], address, port, count=30))


def test_persistence_keeps_a_client_with_its_server(shared: Network) -> None:
    """All connections of a client have one server; twenty clients are spread by turns."""
    first = from_every_address(shared["c1"], STICKY)
    again = from_every_address(shared["c1"], STICKY)

    assert first == again
    assert [6, 7, 7] == sorted(Counter(first.values()).values())


def test_a_firewall_mark_spans_ports(shared: Network) -> None:
    """Two ports under one mark are one service: thirty connections to both are ten for each."""
    answers = [request(shared["c1"], MARKED, 80 + number % 2) for number in range(30)]

    assert EVEN == served_by(answers)


def test_a_real_server_gets_the_clients_syn_inside_the_tunnel(shared: Network) -> None:
    """The inner packet is the client's own, 20 bytes shorter than the outer one."""
    with Capture(shared["rs1"]) as capture:
        requests(shared["c1"], VIP, count=len(SERVERS))
        incoming = capture.packets(outgoing=False)

    syn = next(
        packet
        for packet in incoming
        if packet.outer
        and isinstance(packet.transport, Tcp)
        and packet.transport.flags is TcpFlag.SYN
    )
    assert syn.outer is not None
    assert 20 == syn.outer.length - syn.ip.length
