"""Every type of tunnel between real director and agents, for both families, by packets."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import Stream, datagrams, download, requests, served_by, upload
from deploy.lab.daemons import FarmDaemons, Json
from deploy.lab.fixtures import BuildNetwork
from deploy.lab.load import Load
from deploy.lab.network import Network
from deploy.lab.node import Node
from deploy.lab.packets import GRE, IPIP, IPV6, UDP, Icmp, Packet, Tcp, TcpFlag
from deploy.lab.poll import poll
from deploy.lab.topology import farm_topology, vip, vip6
from lvsctl.farm import PoolTunnel
from lvsctl.ipvs_table import Family, TunnelType, family_of
from lvsctl.packet_size import mss, overhead
from tests.kernel.farms import VIP, farm, ready_agents, service, start

SERVERS = ("rs1", "rs2")
REQUESTS = 20
UPLOAD, DOWNLOAD = 100_000, 1_000_000
LARGE_DATAGRAM = 3000
LINK_MTU = 1500
SWITCHED_WITHIN_S = 30.0

TUNNELS: dict[str, Json] = {
    "ipip": {"type": "ipip"},
    "gre": {"type": "gre"},
    "gre-checksum": {"type": "gre", "checksum": True},
    "gue": {"type": "gue", "port": 6080},
    "gue-checksum": {"type": "gue", "port": 6080, "checksum": True},
}
# gre with and without checksum cannot be accepted at once, so they are in different farms.
TOGETHER = (("ipip", "gre", "gue", "gue-checksum"), ("gre-checksum",))


@dataclass(frozen=True, slots=True)
class Carried:
    """A service of a test's farm: what carries which VIP."""

    name: str
    vip: str
    tunnel: PoolTunnel

    @property
    def protocol(self) -> int:
        """IP protocol of the outer header."""
        inner = IPIP if ip_address(self.vip).version == 4 else IPV6
        return {TunnelType.IPIP: inner, TunnelType.GRE: GRE, TunnelType.GUE: UDP}[self.tunnel.type]

    def overhead(self, rip: str) -> int:
        """Return the bytes that the tunnel adds towards a real server."""
        return overhead(self.tunnel.encapsulation, family_of(ip_address(rip)))


def carried(names: tuple[str, ...]) -> list[Carried]:
    """Return a service for each tunnel and each family of VIP."""
    found = []
    for number, name in enumerate(names, 10):
        document = TUNNELS[name]
        tunnel = PoolTunnel(
            TunnelType[str(document["type"]).upper()],
            int(str(document.get("port", 0))),
            bool(document.get("checksum", False)),
        )
        found += [Carried(f"{name}-v4", vip(number), tunnel)]
        found += [Carried(f"{name}-v6", vip6(number), tunnel)]
    return found


def start_farm_of(
    network: Network, state: Path, names: tuple[str, ...], version: int
) -> FarmDaemons:
    """Start a farm in which every agent is in a pool for each tunnel."""
    services = carried(names)
    daemons = FarmDaemons(network, state)
    daemons.start_director()
    document = farm(
        [
            service(each.name, vip=each.vip, ports=[7, 80], pool=each.name.rpartition("-")[0])
            for each in services
        ]
        + [
            service(
                f"{each.name}-udp",
                vip=each.vip,
                ports=[7],
                protocol="udp",
                pool=each.name.rpartition("-")[0],
            )
            for each in services
        ],
        [{"name": name, "tunnel": TUNNELS[name]} for name in names],
    )
    daemons.api.put("/v1/farm?wait=10", document)
    for server in SERVERS:
        vips = tuple(each.vip for each in services)
        start_application(network[server], Application(server, udp_addresses=vips))
        rip = ip_address(network.address(server, version))
        daemons.start_agent(server, names, address=rip)
    poll(lambda: ready_agents(daemons), 60, until=lambda ready: ready == set(SERVERS))
    poll(lambda: _applied(daemons), 30)
    return daemons


def _applied(daemons: FarmDaemons) -> bool:
    services = daemons.api.get("/v1/services")["services"]
    return all(
        each["status"]["state"] == "applied"
        and all(part["weight"] for part in each["status"]["destinations"])
        and len(each["status"]["destinations"]) == len(SERVERS)
        for each in services  # type: ignore[attr-defined]
    )


@contextlib.contextmanager
def no_icmp(client: Node) -> Iterator[None]:
    """Drop every ICMP message that says that a packet was too large."""
    rules = {
        "iptables-legacy": "INPUT -p icmp -j DROP",
        "ip6tables-legacy": "INPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP",
    }
    for program, rule in rules.items():
        client.run([program, "-A", *rule.split()])
    yield
    for program, rule in rules.items():
        client.run([program, "-D", *rule.split()])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", TOGETHER, ids="+".join)
@pytest.mark.parametrize("version", [4, 6], ids=["RIP4", "RIP6"])
def test_every_tunnel_carries_both_families(
    network: BuildNetwork, tmp_path: Path, names: tuple[str, ...], version: int
) -> None:
    """Spread evenly, wrapped as declared; uploads fit, with and without ICMP; left as found."""
    built = network(farm_topology(real_servers=len(SERVERS), vips_on_link=False))
    found = _state_of(built["rs1"])
    daemons = start_farm_of(built, tmp_path, names, version)
    # Else the client's kernel hands over many segments as one, which no wire would see.
    built["c1"].run(["ip", "link", "set", "eth0", "gso_max_segs", "1"])
    for each in carried(names):
        _check_requests(built, each, version)
        _check_sizes(built, each, version)
        with no_icmp(built["c1"]):
            _check_sizes(built, each, version)
    _leave(daemons, "rs1")
    assert found == _state_of(built["rs1"])


def _check_requests(built: Network, each: Carried, version: int) -> None:
    client, dip = built["c1"], built.address("lb1", version)
    rip = built.address("rs1", version)
    with Capture(built["rs1"]) as at_server:
        answers = requests(client, each.vip, count=REQUESTS)
        echoes = datagrams(client, each.vip, count=2)
        incoming = at_server.packets(outgoing=False)

    even = Counter(dict.fromkeys(SERVERS, REQUESTS // len(SERVERS)))
    assert (each.name, even) == (each.name, served_by(answers))
    assert (each.name, {*SERVERS}) == (each.name, {*served_by(echoes)})
    tunnelled = [packet for packet in incoming if packet.outer]
    assert {(dip, rip, each.protocol, each.overhead(rip))} == {
        (p.outer.source, p.outer.destination, p.outer.protocol, p.outer.length - p.ip.length)
        for p in tunnelled
        if p.outer
    }, each.name
    assert {each.vip} == {packet.ip.destination for packet in tunnelled}


def _check_sizes(built: Network, each: Carried, version: int) -> None:
    """Transfers complete, with segments that fit from the first on and datagrams that do not."""
    client = built["c1"]
    inner = family_of(ip_address(each.vip))
    # One MSS for all tunnels of a host: what fits the largest overhead.
    largest = max(
        other.overhead(built.address("rs1", version)) for other in carried(_farm_of(each))
    )
    fits = mss(LINK_MTU - largest, inner)
    with Capture(built["lb1"]) as at_director, Capture(client) as at_client:
        assert UPLOAD == upload(client, each.vip, UPLOAD), each.name
        assert DOWNLOAD == download(client, each.vip, DOWNLOAD), each.name
        incoming = at_director.packets(outgoing=False)
        outgoing = at_director.packets(outgoing=True)
        answers = at_client.packets(outgoing=False)

    assert (each.name, {fits}) == (each.name, {*_offered(answers)})
    sizes = [p.transport.length for p in incoming if isinstance(p.transport, Tcp) and not p.outer]
    assert max(sizes) <= fits, each.name
    assert [] == [p for p in outgoing if isinstance(p.transport, Icmp) and p.transport.mtu]
    if inner is Family.IPV6:
        # Nobody on the way fragments it: the first one lost tells the client the size (RFC 8200).
        poll(lambda: datagrams(client, each.vip, size=LARGE_DATAGRAM)[0].server, 10)
    large = datagrams(client, each.vip, count=2, size=LARGE_DATAGRAM)
    assert (each.name, {*SERVERS}) == (each.name, {*served_by(large)})


def _farm_of(each: Carried) -> tuple[str, ...]:
    return next(names for names in TOGETHER if each.name.rpartition("-")[0] in names)


def _offered(packets: list[Packet]) -> list[int | None]:
    """Return the MSS of each SYN+ACK."""
    both = TcpFlag.SYN | TcpFlag.ACK
    return [
        p.transport.mss
        for p in packets
        if isinstance(p.transport, Tcp) and p.transport.flags == both
    ]


@pytest.mark.timeout(300)
def test_a_live_pool_changes_its_tunnel_without_a_failed_request(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """From ipip over gue and gre back: 100 requests a second, and a connection that stays."""
    built = network(farm_topology(real_servers=len(SERVERS)))
    daemons = start(built, tmp_path, farm([service(ports=[7, 80])]), servers=SERVERS)

    with Stream(built["c1"], VIP) as stream, Load(built["c1"], VIP, per_s=100) as load:
        for name in ("gue", "gre", "ipip"):
            daemons.api.patch("/v1/pools/web", {"tunnel": {"port": None, **TUNNELS[name]}})
            wanted = {"gue": "gue:6080"}.get(name, name)
            poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: {wanted} == t)  # noqa: B023
            with Capture(built["rs1"]) as at_server:
                stream.check()
                poll(lambda: _outer(at_server), 10)
            for server in SERVERS:
                poll(
                    lambda: _accepted(daemons, server),  # noqa: B023
                    3 * 20.0,
                    until=lambda accepted: accepted == [wanted],  # noqa: B023
                )
            stream.check()
        answers = load.stop()
    assert set(SERVERS) == set(served_by(answers))


def _tunnels(daemons: FarmDaemons) -> set[str]:
    """Return what the service's destinations are sent in."""
    status = daemons.api.get("/v1/services/web")["status"]
    return {part["tunnel"] for part in status["destinations"]}  # type: ignore[index]


def _outer(capture: Capture) -> set[int]:
    return {packet.outer.protocol for packet in capture.packets(outgoing=False) if packet.outer}


def _accepted(daemons: FarmDaemons, server: str) -> object:
    """Return the tunnels that an agent reports."""
    return daemons.api.get(f"/v1/agents/{server}")["accepts"]


def test_a_silent_agent_keeps_its_tunnel_and_serves(network: BuildNetwork, tmp_path: Path) -> None:
    """The others are switched; its own destination is shown pending, and no request fails."""
    built = network(farm_topology(real_servers=len(SERVERS)))
    daemons = start(built, tmp_path, servers=SERVERS)
    daemons.agents["rs2"].kill()

    with Load(built["c1"], VIP, per_s=50) as load:
        daemons.api.patch("/v1/pools/web", {"tunnel": {"type": "gue"}})
        poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: "gue:6080" in t)
        before = len(load.so_far())
        poll(lambda: len(load.so_far()) > before + 50, 10)
        answers = load.stop()

    assert set(SERVERS) == set(served_by(answers))
    status = daemons.api.get("/v1/services/web")["status"]
    parts = {part["server"]: part for part in status["destinations"]}  # type: ignore[index]
    assert {"rs1": "gue:6080", "rs2": "ipip"} == {n: part["tunnel"] for n, part in parts.items()}
    assert {"rs1": False, "rs2": True} == {n: part["pending"] for n, part in parts.items()}
    daemons.start_agent("rs2")
    poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: {"gue:6080"} == t)
    assert set(SERVERS) == set(served_by(requests(built["c1"], VIP, count=4)))


def test_a_narrow_link_to_a_real_server(network: BuildNetwork, tmp_path: Path) -> None:
    """1400 bytes on the way: transfers complete with ICMP, and with tunnel.mtu without."""
    built = network(
        farm_topology(real_servers=0, far_real_servers=1, vips_on_link=False, client_on_link=False)
    )
    far = next(link for link in ("eth1", "eth2") if _has(built["r1"], link, "203.0.113.1/"))
    built["r1"].run(["ip", "link", "set", far, "mtu", "1400"])
    built["r1"].run(["ip", "route", "replace", "203.0.113.0/25", "dev", far, "mtu", "1400"])
    daemons = start(built, tmp_path, servers=("rs1",))
    client = built["c1"]

    assert UPLOAD == upload(client, VIP, UPLOAD)
    assert DOWNLOAD == download(client, VIP, DOWNLOAD)

    daemons.api.patch("/v1/pools/web", {"tunnel": {"mtu": 1400}})
    wanted = mss(1400 - 20, family_of(ip_address(VIP)))
    poll(lambda: _first_mss(client), 30, until=lambda offered: offered == wanted)
    with no_icmp(client):
        assert UPLOAD == upload(client, VIP, UPLOAD)
        assert DOWNLOAD == download(client, VIP, DOWNLOAD)


def _has(node: Node, link: str, prefix: str) -> bool:
    return prefix in node.run(["ip", "address", "show", "dev", link], check=False).stdout


def _first_mss(client: Node) -> int | None:
    """Connect once and return the MSS that the real server offers."""
    with Capture(client) as capture:
        served_by(requests(client, VIP))
        return _offered(capture.packets(outgoing=False))[0]


def test_the_mss_follows_the_route_and_goes_with_the_agent(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A route's MTU counts at once; a host that is left is as it was found."""
    built = network(farm_topology(real_servers=1))
    server = built["rs1"]
    found = _state_of(server)
    daemons = start(built, tmp_path, servers=("rs1",))
    inner = family_of(ip_address(VIP))
    assert mss(LINK_MTU - 20, inner) == _first_mss(built["c1"])

    route = f"192.0.2.0/24 dev eth0 proto kernel scope link src {built.address('rs1')}".split()
    for mtu in (1300, LINK_MTU):
        change = [*route, "mtu", str(mtu)] if mtu != LINK_MTU else route
        server.run(["ip", "route", "change", *change])
        wanted = mss(mtu - 20, inner)
        poll(lambda: _first_mss(built["c1"]), 15, until=lambda o: o == wanted)  # noqa: B023

    daemons.api.patch("/v1/pools/web", {"tunnel": {"type": "gue"}})
    poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: {"gue:6080"} == t)
    _leave(daemons, "rs1")
    assert found == _state_of(server)


def _leave(daemons: FarmDaemons, server: str) -> None:
    state = str(daemons.agent_state(server))
    command = ["lvsctl", "agent", "leave", "--deadline", "5s", "--state-dir", state]
    daemons.network[server].run(command)


def _state_of(server: Node) -> dict[str, str]:
    """Return what an agent could have changed."""
    shown = {
        command: server.run(command.split()).stdout
        for command in (
            "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all",
            "ip fou show", "ip -o address", "ip -o link",
        )
    }  # fmt: skip
    # A tunnel device that was up once has another queue for ever after (KERNEL.md, 2).
    return {command: text.replace("qdisc noop", "qdisc noqueue") for command, text in shown.items()}
