"""Tables that others made, traffic that others counted, and one table from either backend."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Address, ip_address

import pytest

from deploy.lab.node import Node
from deploy.lab.poll import poll
from lvsctl.ipvs.codec.commands import GENERIC_HEADERS, Command
from lvsctl.ipvs.codec.destination import encode_destination
from lvsctl.ipvs.codec.requests import encode_operation
from lvsctl.ipvs.codec.service import encode_service_key
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.memory import MemoryIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DestinationConfig,
    DestinationCounters,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    IpvsTable,
    Operation,
    Persistence,
    ServiceFlag,
    TunnelFlag,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from lvsctl.results import Done

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
DNS = AddressKey(IpProtocol.UDP, IPv4Address("198.51.100.10"), 53)
RR, ONE = VirtualServiceConfig("rr"), DestinationConfig(1)
COUNTERS_LAG_S = 2


def at(address: str, port: int = 80) -> DestinationKey:
    return DestinationKey(ip_address(address), port)


RS1 = at("192.0.2.11")


@pytest.fixture
def lb1(node: Callable[[str], Node]) -> Iterator[Node]:
    made = node("lb1")
    with made.enter():
        yield made


@pytest.fixture
def netlink(lb1: Node) -> Iterator[NetlinkIpvs]:  # noqa: ARG001 - the test is on it
    with closing(NetlinkIpvs()) as opened:
        yield opened


@pytest.fixture(params=["netlink", "ipvsadm"])
def ipvs(request: pytest.FixtureRequest, netlink: NetlinkIpvs) -> Ipvs:
    return netlink if request.param == "netlink" else IpvsadmIpvs()


def ipvsadm(line: str) -> str:
    done = subprocess.run(["ipvsadm", *line.split()], capture_output=True, text=True, check=True)
    return done.stdout


def all_done(ipvs: Ipvs, *operations: Operation) -> None:
    assert {Done()} == set(ipvs.apply(operations))


def written_raw(netlink: NetlinkIpvs, payload: bytes) -> None:
    (verdict,) = netlink._socket.batch([payload])
    assert verdict is not None
    assert verdict.errno == 0


# --- tables of other tools


def test_destinations_of_other_forwarding_methods_are_read_and_written_back(
    ipvs: Ipvs, netlink: NetlinkIpvs
) -> None:
    """Masquerading and direct routing, which ipvsadm made, survive an edit of what they are."""
    ipvsadm("-A -t 198.51.100.10:80 -s rr")
    ipvsadm("-a -t 198.51.100.10:80 -r 192.0.2.11:8080 -m -w 3")
    ipvsadm("-a -t 198.51.100.10:80 -r 192.0.2.12:80 -g -w 4 -x 9 -y 8")
    found = {
        at("192.0.2.11", 8080): DestinationConfig(3, ForwardingMethod.MASQUERADE, None),
        at("192.0.2.12"): DestinationConfig(4, ForwardingMethod.DIRECT_ROUTE, None, 9, 8),
    }
    assert ipvs.snapshot() == {WEB: VirtualService(RR, found)}
    all_done(ipvs, *(EditDestination(WEB, key, config) for key, config in found.items()))
    assert netlink.snapshot() == {WEB: VirtualService(RR, found)}


def test_a_masqueraded_destination_is_edited_into_a_tunnel(ipvs: Ipvs) -> None:
    """In place, as for one that somebody changed by hand."""
    ipvsadm("-A -t 198.51.100.10:80 -s rr")
    ipvsadm("-a -t 198.51.100.10:80 -r 192.0.2.11:80 -m")
    all_done(ipvs, EditDestination(WEB, RS1, ONE))
    assert ipvs.snapshot() == {WEB: VirtualService(RR, {RS1: ONE})}


def test_a_tunnel_to_another_port_can_be_deleted(ipvs: Ipvs, netlink: NetlinkIpvs) -> None:
    """Over netlink a tool may put RIP:8080 beside RIP:80, though packets keep port 80."""
    all_done(netlink, AddService(WEB, RR), AddDestination(WEB, RS1, ONE))
    other = at("192.0.2.11", 8080)
    written_raw(netlink, encode_operation(AddDestination(WEB, other, ONE)))
    assert [RS1, other] == list(ipvs.snapshot()[WEB].destinations)
    all_done(ipvs, DeleteDestination(WEB, other))
    assert [RS1] == list(ipvs.snapshot()[WEB].destinations)


def test_local_delivery_is_read(netlink: NetlinkIpvs) -> None:
    """Nobody needs to write it; a tool that did is not hidden."""
    all_done(netlink, AddService(WEB, RR))
    local = DestinationConfig(1, ForwardingMethod.LOCAL, None)
    written_raw(
        netlink,
        GENERIC_HEADERS[Command.NEW_DEST]
        + encode_service_key(WEB)
        + encode_destination(RS1, local),
    )
    assert netlink.snapshot() == {WEB: VirtualService(RR, {RS1: local})}
    seen_by_ipvsadm = DestinationConfig(1, ForwardingMethod.DIRECT_ROUTE, None)
    assert IpvsadmIpvs().snapshot() == {WEB: VirtualService(RR, {RS1: seen_by_ipvsadm})}


def test_a_service_that_is_not_balanced_hides_no_other(ipvs: Ipvs, netlink: NetlinkIpvs) -> None:
    """The kernel keeps a service of protocol 47; the others are read beside it."""
    all_done(netlink, AddService(DNS, RR))
    payload = encode_operation(AddService(WEB, RR))
    protocol = bytes.fromhex("06000200") + b"\x06"
    written_raw(netlink, payload.replace(protocol, protocol[:-1] + b"\x2f"))
    assert ipvs.snapshot() == {DNS: VirtualService(RR)}
    assert list(ipvs.counters()) == [DNS]


def test_a_netmask_that_is_no_prefix_is_put_right(ipvs: Ipvs) -> None:
    """It reads as -1, which equals no wish."""
    ipvsadm("-A -t 198.51.100.10:80 -s rr -p 300 -M 255.0.255.0")
    assert ipvs.snapshot()[WEB].config.persistence == Persistence(300, -1)
    wanted = VirtualServiceConfig("rr", persistence=Persistence(300, 24))
    all_done(ipvs, EditService(WEB, wanted))
    assert ipvs.snapshot() == {WEB: VirtualService(wanted)}


def test_what_ipvsadm_made_equals_what_is_made_over_netlink(netlink: NetlinkIpvs) -> None:
    """With the defaults of ipvsadm: weight 1, IPIP, a netmask of one client."""
    for line in (
        "-A -t 198.51.100.10:80 -s mh -b mh-fallback,mh-port -p 300",
        "-a -t 198.51.100.10:80 -r 192.0.2.11 -i",
        "-a -t 198.51.100.10:80 -r 192.0.2.12 -i --tun-type gue --tun-port 6080 -x 10",
    ):
        ipvsadm(line)
    assert netlink.snapshot() == {
        WEB: VirtualService(
            VirtualServiceConfig("mh", ServiceFlag(0x18), Persistence(300, 32)),
            {
                RS1: ONE,
                at("192.0.2.12"): DestinationConfig(
                    1, encapsulation=Encapsulation(TunnelType.GUE, 6080), upper_threshold=10
                ),
            },
        )
    }


# --- the same table from either backend

FARM: IpvsTable = {
    FwmarkKey(Family.IPV4, 7): VirtualService(
        VirtualServiceConfig("wlc"), {at("192.0.2.11", 0): ONE, at("192.0.2.12", 0): ONE}
    ),
    DNS: VirtualService(
        VirtualServiceConfig("rr", ServiceFlag.ONE_PACKET),
        {at("192.0.2.11", 53): ONE, at("2001:db8::11", 53): ONE},
    ),
    WEB: VirtualService(
        VirtualServiceConfig("mh", ServiceFlag(0x18), Persistence(300, 24)),
        {
            at(f"192.0.2.{host}"): DestinationConfig(
                host, encapsulation=encapsulation, upper_threshold=host, lower_threshold=1
            )
            for host, encapsulation in enumerate(
                [
                    Encapsulation(),
                    Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM),
                    Encapsulation(TunnelType.GUE, 6080),
                ],
                11,
            )
        },
    ),
    AddressKey(IpProtocol.TCP, ip_address("2001:db8::10"), 443): VirtualService(
        VirtualServiceConfig("sh", ServiceFlag.SCHED1, Persistence(60, 64)),
        {at("2001:db8::11", 443): ONE},
    ),
}


def adding(table: IpvsTable) -> list[Operation]:
    operations: list[Operation] = []
    for key, service in table.items():
        operations.append(AddService(key, service.config))
        operations += [AddDestination(key, *each) for each in service.destinations.items()]
    return operations


def test_either_backend_leaves_the_table_that_memory_prints(ipvs: Ipvs) -> None:
    """`ipvsadm -Sn` is the same whatever wrote it, and str(MemoryIpvs) is the same again."""
    model = MemoryIpvs()
    all_done(model, *adding(FARM))
    all_done(ipvs, *adding(FARM))
    assert str(model) == ipvsadm("-Sn")
    assert ipvs.snapshot() == FARM


# --- counters


def test_both_backends_count_the_same_traffic(lb1: Node, netlink: NetlinkIpvs) -> None:
    """Connections, packets and bytes of a service and its destinations, after the kernel's lag."""
    vip = str(DNS.vip)
    lb1.netlink.link("add", ifname="lan0", kind="dummy")
    lb1.set_link("lan0", up=True)
    lb1.add_address("lan0", "192.0.2.10/24")
    lb1.add_address("lan0", f"{vip}/32")
    rs1, rs2 = at("192.0.2.11", 53), at("192.0.2.12", 53)
    config = VirtualServiceConfig("rr", persistence=Persistence(300, 32))
    all_done(netlink, AddService(DNS, config), AddDestination(DNS, rs1, ONE))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(5):
            client.sendto(b"x" * 100, (vip, DNS.port))
    all_done(netlink, AddDestination(DNS, rs2, ONE))

    def counted() -> DestinationCounters:
        return netlink.counters([DNS])[DNS].destinations[rs1]

    counters = poll(counted, 3 * COUNTERS_LAG_S, until=lambda seen: seen.traffic.in_packets == 5)
    assert counters.traffic.in_bytes == 5 * (20 + 8 + 100)
    assert (counters.active_connections, counters.inactive_connections) == (0, 1)
    assert counters.persistent_connections == 1
    by_netlink, by_ipvsadm = netlink.counters()[DNS], IpvsadmIpvs().counters()[DNS]
    assert by_netlink.traffic.in_bytes == by_ipvsadm.traffic.in_bytes == 640
    for destination in (rs1, rs2):
        one, other = by_netlink.destinations[destination], by_ipvsadm.destinations[destination]
        assert one.traffic.in_packets == other.traffic.in_packets
        assert one.traffic.connections == other.traffic.connections
        assert one.inactive_connections == other.inactive_connections
        assert one.persistent_connections == other.persistent_connections
