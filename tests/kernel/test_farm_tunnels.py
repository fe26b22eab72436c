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
from lvsctl.farm.model import PoolTunnel
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import Family, family_of
from lvsctl.packet_size import mss, overhead
from tests.kernel.doctors import on_director, on_real_server
from tests.kernel.farms import VIP, farm, ready_agents, service, start

SERVERS = ("rs1", "rs2")
RS1 = "192.0.2.11"
REQUESTS = 20
UPLOAD, DOWNLOAD = 100_000, 200_000
LARGE_DATAGRAM = 3000
LINK_MTU = 1500
NARROW = 1400
SWITCHED_WITHIN_S = 30.0

TUNNELS: dict[str, Json] = {
    "ipip": {"type": "ipip"},
    "gre": {"type": "gre"},
    "gre-checksum": {"type": "gre", "checksum": True},
    "gue": {"type": "gue", "port": 6080},
    "gue-checksum": {"type": "gue", "port": 6080, "checksum": True},
}
NARROWED = ("ipip", "gre", "gue")
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
    return [
        Carried(f"{name}-v{version}", address, _tunnel(name))
        for number, name in enumerate(names, 10)
        for version, address in ((4, vip(number)), (6, vip6(number)))
    ]


def _tunnel(name: str) -> PoolTunnel:
    document = TUNNELS[name]
    return PoolTunnel(
        TunnelType[str(document["type"]).upper()],
        int(str(document.get("port", 0))),
        bool(document.get("checksum", False)),
    )


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
    looked = on_director(daemons)
    assert ([], []) == (looked["findings"], on_real_server(daemons, "rs1")["findings"])
    paths = {path["tunnel"] for path in looked["paths"]}  # type: ignore[attr-defined]
    assert {str(each.tunnel.encapsulation) for each in carried(names)} == paths
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
        _transfer(client, each)
        incoming = at_director.packets(outgoing=False)
        outgoing = at_director.packets(outgoing=True)
        answers = at_client.packets(outgoing=False)

    assert (each.name, {fits}) == (each.name, {*_offered(answers)})
    assert max(_segments(incoming)) <= fits, each.name
    assert set() == _told_mtus(outgoing)
    if inner is Family.IPV6:
        # Nobody on the way fragments it: the first one lost tells the client the size (RFC 8200).
        poll(lambda: datagrams(client, each.vip, size=LARGE_DATAGRAM)[0].server, 10)
    large = datagrams(client, each.vip, count=2, size=LARGE_DATAGRAM)
    assert (each.name, {*SERVERS}) == (each.name, {*served_by(large)})


def _farm_of(each: Carried) -> tuple[str, ...]:
    return next(names for names in TOGETHER if each.name.rpartition("-")[0] in names)


def _segments(packets: list[Packet]) -> list[int]:
    """Return the length of each TCP segment that is in no tunnel."""
    return [p.transport.length for p in packets if isinstance(p.transport, Tcp) and not p.outer]


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
        for name, protocol in (("gue", UDP), ("gre", GRE), ("ipip", IPIP)):
            daemons.api.patch("/v1/pools/web", {"tunnel": {"port": None, **TUNNELS[name]}})
            wanted = {"gue": "gue:6080"}.get(name, name)
            poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: {wanted} == t)  # noqa: B023
            with Capture(built["rs1"]) as at_server:
                stream.check()
                assert {protocol} == poll(lambda: _outer(at_server), 10)
            for server in SERVERS:
                poll(
                    lambda: _accepted(daemons, server),  # noqa: B023
                    3 * 20.0,
                    until=lambda accepted: accepted == [wanted],  # noqa: B023
                )
            fits = mss(LINK_MTU - Carried(name, VIP, _tunnel(name)).overhead(RS1), Family.IPV4)
            with Capture(built["c1"]) as at_client:
                offered = poll(
                    lambda: _offered(at_client.packets(outgoing=False)),
                    10,
                    until=lambda seen: len(seen) > REQUESTS,
                )
            assert (name, {fits}) == (name, {*offered})
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
    """The others are switched, its own destination is pending; then one has a tunnel of its own."""
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

    own = {"address": built.address("rs1"), "tunnel": {"type": "gre"}}
    daemons.api.put("/v1/pools/web/real-servers/rs1", own)
    poll(lambda: _tunnels(daemons), SWITCHED_WITHIN_S, until=lambda t: {"gre", "gue:6080"} == t)
    with Capture(built["rs1"]) as at_own, Capture(built["rs2"]) as at_other:
        assert {"rs1": 2, "rs2": 2} == served_by(requests(built["c1"], VIP, count=4))
        assert ({GRE}, {UDP}) == (_outer(at_own), _outer(at_other))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [4, 6], ids=["RIP4", "RIP6"])
def test_a_narrow_link_to_the_real_servers(
    network: BuildNetwork, tmp_path: Path, version: int
) -> None:
    """1400 bytes on the way: transfers complete with ICMP, and with tunnel.mtu without."""
    built = network(
        farm_topology(real_servers=0, far_real_servers=2, vips_on_link=False, client_on_link=False)
    )
    for route in ("203.0.113.0/25", "2001:db8:113::/64"):
        narrow(built["r1"], route)
    daemons = start_farm_of(built, tmp_path, NARROWED, version)
    client, rip = built["c1"], built.address("rs1", version)
    client.run(["ip", "link", "set", "eth0", "gso_max_segs", "1"])

    for each in carried(NARROWED):
        with Capture(client) as at_client:
            for _ in SERVERS:  # the way to each is learnt by itself
                assert UPLOAD == upload(client, each.vip, UPLOAD), each.name
            assert DOWNLOAD == download(client, each.vip, DOWNLOAD), each.name
            told = _told_mtus(at_client.packets(outgoing=False))
        assert NARROW - each.overhead(rip) in told, (each.name, told)
    assert [] == on_director(daemons)["findings"]

    for name in NARROWED:
        daemons.api.patch(f"/v1/pools/{name}", {"tunnel": {"mtu": NARROW}})
    for family in ("-4", "-6"):  # what the client has learnt
        client.run(["ip", family, "route", "flush", "cache"])
    largest = max(each.overhead(rip) for each in carried(NARROWED))
    with no_icmp(client):
        for each in carried(NARROWED):
            fits = mss(NARROW - largest, family_of(ip_address(each.vip)))
            poll(lambda: _offered_mss(client, each.vip), 30, until={fits}.__eq__)  # noqa: B023
            with Capture(built["lb1"]) as at_director:
                _transfer(client, each)
                sent = at_director.packets(outgoing=False)
            assert max(_segments(sent)) <= fits, each.name


def narrow(router: Node, destination: str) -> None:
    """Let a router's link of its own carry no more than a few bytes."""
    family = "-6" if ":" in destination else "-4"
    shown = router.run(["ip", family, "route", "show", destination]).stdout.split()
    kept = [word for word in shown if word not in {"pref", "medium"}]
    router.run(["ip", family, "route", "replace", *kept, "mtu", str(NARROW)])


def _transfer(client: Node, each: Carried) -> None:
    assert UPLOAD == upload(client, each.vip, UPLOAD), each.name
    assert DOWNLOAD == download(client, each.vip, DOWNLOAD), each.name


def _offered_mss(client: Node, address: str) -> set[int | None]:
    """Connect to each server and return the MSS that they offer."""
    with Capture(client) as capture:
        served_by(requests(client, address, count=len(SERVERS)))
        return {*_offered(capture.packets(outgoing=False))}


def _told_mtus(packets: list[Packet]) -> set[int]:
    """Return what ICMP told of the largest packet that gets through."""
    return {p.transport.mtu for p in packets if isinstance(p.transport, Icmp) and p.transport.mtu}


def test_the_mss_follows_the_route_and_goes_with_the_agent(
    network: BuildNetwork, tmp_path: Path
) -> None:
    """A route's MTU counts at once, nobody else's routes change, and a host is left as found."""
    built = network(farm_topology(real_servers=1))
    server = built["rs1"]
    found, main = _state_of(server), server.run(["ip", "route"]).stdout
    daemons = start(built, tmp_path, servers=("rs1",))
    assert main == server.run(["ip", "route"]).stdout
    inner = family_of(ip_address(VIP))
    assert {mss(LINK_MTU - 20, inner)} == _offered_mss(built["c1"], VIP)

    route = f"192.0.2.0/24 dev eth0 proto kernel scope link src {built.address('rs1')}".split()
    for mtu in (1300, LINK_MTU):
        change = [*route, "mtu", str(mtu)] if mtu != LINK_MTU else route
        server.run(["ip", "route", "change", *change])
        wanted = {mss(mtu - 20, inner)}
        poll(lambda: _offered_mss(built["c1"], VIP), 15, until=wanted.__eq__)

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
