"""A client's packets through the real director and agents, by every scheduler."""

import re
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from deploy.lab.capture import Capture
from deploy.lab.client import datagrams, request, requests, served_by
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.node import Node
from deploy.lab.packets import IPIP, Packet, Tcp, TcpFlag
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip
from lvsctl.ipvs.hashing import Candidate, maglev_choice, maglev_table, source_hash_choice
from tests.kernel.farms import SERVERS, VIP, declared, farm, service, start

EVEN = Counter(dict.fromkeys(SERVERS, 10))
CLIENTS = 20


def from_every_address(client: Node, port: int = 80) -> dict[str, str | None]:
    """Ask once from each address of the client's first device; return who answered each."""
    addresses = [f"192.0.2.{201 + number}" for number in range(CLIENTS)]
    return {source: request(client, VIP, port, source=source).server for source in addresses}


@pytest.mark.parametrize("placement", ["on-link", "routed"])
def test_round_robin_is_even_and_the_answer_comes_straight(
    network: BuildNetwork, tmp_path: Path, placement: str
) -> None:
    """Thirty connections are ten for each server; DIP→RIP goes in, VIP→CIP comes straight."""
    on_link = placement == "on-link"
    built = network(
        farm_topology(
            real_servers=3 if on_link else 0,
            far_real_servers=0 if on_link else 3,
            client_on_link=on_link,
            vips_on_link=on_link,
        )
    )
    start(built, tmp_path)
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


def test_weighted_round_robin_follows_the_weights(network: BuildNetwork, tmp_path: Path) -> None:
    """Weights 3, 2 and 1 make 15, 10 and 5 of 30."""
    built = network(farm_topology())
    weights = {"rs1": 3, "rs2": 2, "rs3": 1}
    document = farm([service(scheduler="wrr")], [declared(built, SERVERS, weights)])
    start(built, tmp_path, document)

    assert Counter(rs1=15, rs2=10, rs3=5) == served_by(requests(built["c1"], VIP, count=30))


def test_weighted_least_connection_uses_every_server(network: BuildNetwork, tmp_path: Path) -> None:
    """Of thirty connections each server has at least one, and none above half."""
    built = network(farm_topology())
    start(built, tmp_path, farm([service(scheduler="wlc")]))

    found = served_by(requests(built["c1"], VIP, count=30))

    assert set(SERVERS) == set(found)
    assert max(found.values()) <= 15


def newest_first(director: Node, port: int) -> tuple[Candidate, ...]:
    """Return a service's destinations, all of weight 100, in the kernel's own order."""
    listed = director.run(["ipvsadm", "-Ln", "--nosort", "-t", f"{VIP}:{port}"]).stdout
    addresses = re.findall(rf"-> ([\d.]+):{port} +Tunnel", listed)
    return tuple(Candidate(IPv4Address(address), port, 100, 100) for address in addresses)


def name_of(names: Mapping[str, str], chosen: Candidate | None) -> str:
    """Return the name of the server that a scheduler chose."""
    assert chosen is not None
    return names[str(chosen.address)]


def test_maglev_chooses_as_its_table_says(network: BuildNetwork, tmp_path: Path) -> None:
    """With mh-port each connection's server is that of its client's address and port."""
    built = network(farm_topology(client_addresses=CLIENTS))
    start(built, tmp_path, farm([service(scheduler="mh")]))
    table = maglev_table(newest_first(built["lb1"], 80))
    names = {built.address(name): name for name in SERVERS}

    for answer in requests(built["c1"], VIP, count=30):
        assert answer.client is not None
        assert answer.port is not None
        client = IPv4Address(answer.client)
        chosen = maglev_choice(table, client, answer.port, fallback=True)
        assert name_of(names, chosen) == answer.server


def test_maglev_without_ports_and_source_hashing_keep_a_client(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Each client address has the server that the kernel's table gives it."""
    built = network(farm_topology(client_addresses=CLIENTS))
    services = [
        service("mh", scheduler="mh", flags=["mh-fallback"]),
        service("sh", scheduler="sh", ports=[81]),
    ]
    start(built, tmp_path, farm(services), http_ports=(80, 81))
    names = {built.address(name): name for name in SERVERS}
    table = maglev_table(newest_first(built["lb1"], 80))
    listed = newest_first(built["lb1"], 81)

    for client, server in from_every_address(built["c1"]).items():
        chosen = maglev_choice(table, IPv4Address(client), 0, fallback=True)
        assert name_of(names, chosen) == server
    for client, server in from_every_address(built["c1"], 81).items():
        chosen = source_hash_choice(listed, IPv4Address(client), 0, fallback=False)
        assert name_of(names, chosen) == server


def test_udp(network: BuildNetwork, tmp_path: Path) -> None:
    """Thirty datagrams of thirty sockets are ten for each server, and answers come from the VIP."""
    built = network(farm_topology())
    daemons = start(built, tmp_path, farm([service(), service("echo", protocol="udp", ports=[7])]))
    key = f"-A -u {VIP}:7"
    poll(lambda: key in daemons.network["lb1"].run(["ipvsadm", "-Sn"]).stdout, 15)

    assert EVEN == served_by(datagrams(built["c1"], VIP, count=30))


def test_one_service_on_two_ports_and_two_services_on_one_pool(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """Each port, and each VIP, is balanced by itself."""
    built = network(farm_topology())
    services = [service(ports=[80, 81]), service("other", vip=vip(11))]
    start(built, tmp_path, farm(services), http_ports=(80, 81))

    for address, port in ((VIP, 80), (VIP, 81), (vip(11), 80)):
        assert EVEN == served_by(requests(built["c1"], address, port, count=30))


def test_persistence_keeps_a_client_with_its_server(network: BuildNetwork, tmp_path: Path) -> None:
    """All connections of a client have one server; twenty clients are spread by turns."""
    built = network(farm_topology(client_addresses=CLIENTS))
    start(built, tmp_path, farm([service(persistence={"timeout": "300s", "netmask": 32})]))

    first = from_every_address(built["c1"])
    again = from_every_address(built["c1"])

    assert first == again
    assert [6, 7, 7] == sorted(Counter(first.values()).values())


def test_a_firewall_mark_spans_ports(network: BuildNetwork, tmp_path: Path) -> None:
    """Two ports under one mark are one service: thirty connections to both are ten for each."""
    built = network(farm_topology())
    built["lb1"].run(
        [
            *("iptables-legacy", "-t", "mangle", "-A", "PREROUTING", "-d", VIP, "-p", "tcp"),
            *("-m", "multiport", "--dports", "80,81", "-j", "MARK", "--set-mark", "7"),
        ]
    )
    marked = {"name": "web", "vip": VIP, "fwmark": 7, "scheduler": "rr", "pool": "web"}
    start(built, tmp_path, farm([marked]), http_ports=(80, 81))
    saved = ["ipvsadm", "-Sn"]
    poll(lambda: built["lb1"].run(saved).stdout.count("-a -f 7 "), 30, until=lambda n: n == 3)

    answers = [request(built["c1"], VIP, 80 + number % 2) for number in range(30)]

    assert EVEN == served_by(answers)


def test_a_real_server_gets_the_clients_syn_inside_the_tunnel(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """The inner packet is the client's own, 20 bytes shorter than the outer one."""
    built = network(farm_topology(real_servers=1))
    start(built, tmp_path, servers=["rs1"])

    with Capture(built["rs1"]) as capture:
        requests(built["c1"], VIP)
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
