"""Where lvsctl says that connections go, and where the kernel sends them."""

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Address

import pytest

from deploy.lab.node import Node
from lvsctl.director.explain import Cause, Flow
from lvsctl.director.reconcile.readings import Claims, TableReader
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    Operation,
    Persistence,
    ServiceFlag,
    VirtualServiceConfig,
)
from lvsctl.net import IPAddress, IpProtocol
from lvsctl.results import Done

VIP = IPv4Address("198.51.100.10")
SERVERS = [IPv4Address(f"192.0.2.{number}") for number in (13, 11, 12, 14)]
WEIGHTS = dict(zip(SERVERS, (100, 50, 70, 1), strict=True))
CLIENTS = 1000
FALLBACK, PORT = ServiceFlag.SCHED1, ServiceFlag.SCHED2
IP_TRANSPARENT = 19


@pytest.fixture
def director(node: Callable[[str], Node]) -> Iterator[Node]:
    """Return a host that sends packets for the VIP to servers that are nowhere."""
    made = node("lb1")
    for command in (
        "ip link set lo up",
        f"ip address add {VIP}/32 dev lo",
        "ip link add wire type dummy",
        "ip link set wire up",
        "ip address add 192.0.2.1/24 dev wire",
    ):
        made.run(command.split())
    with made.enter():
        yield made


def send(flow: Flow) -> None:
    """Send one datagram of a client that this host is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        client.bind((str(flow.client), flow.client_port))
        with contextlib.suppress(PermissionError):  # where no server takes it
            client.sendto(b"x", (str(flow.vip), flow.vip_port))


def flows(seed: int, key: AddressKey) -> list[Flow]:
    """Return connections of random clients, the same for one seed."""
    drawn = random.Random(seed)  # noqa: S311 - the same every time
    return [
        Flow(
            IpProtocol.UDP,
            IPv4Address(drawn.randrange(0x0B000000, 0x7E000000)),
            drawn.randrange(1024, 65536),
            VIP,
            key.port,
        )
        for _ in range(CLIENTS)
    ]


def went(reader: TableReader, key: AddressKey) -> dict[tuple[IPAddress, int], IPAddress]:
    """Return where the kernel sent each client of a service."""
    found, following = reader.connections(
        lambda each: each.vip_port == key.port and not each.is_template, 0, 10 * CLIENTS
    )
    assert following is None
    return {(each.client, each.client_port): each.server for each in found}


@pytest.mark.parametrize(
    ("scheduler", "flags", "drained"),
    [
        ("mh", ServiceFlag(0), False),
        ("mh", PORT, True),
        ("mh", FALLBACK | PORT, True),
        ("sh", ServiceFlag(0), False),
        ("sh", PORT, True),
        ("sh", FALLBACK | PORT, True),
    ],
)
def test_a_thousand_clients_go_where_it_was_said(
    director: Node, scheduler: str, flags: ServiceFlag, *, drained: bool
) -> None:
    """With weights that differ, and with one server drained: each of them, or nobody."""
    assert director
    key = AddressKey(IpProtocol.UDP, VIP, 53)
    with closing(NetlinkIpvs()) as ipvs:
        make(ipvs, key, VirtualServiceConfig(scheduler, flags))
        if drained:
            done(ipvs, EditDestination(key, DestinationKey(SERVERS[0], 53), DestinationConfig(0)))
        reader = TableReader(ipvs, Claims)
        asked = flows(1, key)
        said = {
            (flow.client, flow.client_port): reader.explain(flow, {key: WEIGHTS}) for flow in asked
        }
        for flow in asked:
            send(flow)
        found = went(reader, key)
    assert {Cause.HASH} | ({Cause.NOBODY} if drained and FALLBACK not in flags else set()) == {
        each.cause for each in said.values()
    }
    assert {at: each.servers[0] for at, each in said.items() if each.servers} == found


def test_a_persistent_client_goes_where_it_was_said(director: Node) -> None:
    """The second connection of a client's network, and then an existing one."""
    assert director
    key = AddressKey(IpProtocol.UDP, VIP, 54)
    config = VirtualServiceConfig("rr", ServiceFlag(0), Persistence(300, 24))
    with closing(NetlinkIpvs()) as ipvs:
        make(ipvs, key, config)
        reader = TableReader(ipvs, Claims)
        first = flows(2, key)[0]
        assert Cause.SCHEDULER is reader.explain(first, {key: WEIGHTS}).cause
        send(first)
        (server,) = went(reader, key).values()
        exists = reader.explain(first, {key: WEIGHTS})
        assert (Cause.CONNECTION, (server,)) == (exists.cause, exists.servers)
        neighbour = Flow(
            IpProtocol.UDP, IPv4Address(int(first.client) ^ 1), first.client_port, VIP, 54
        )
        returns = reader.explain(neighbour, {key: WEIGHTS})
        assert (Cause.PERSISTENCE, (server,)) == (returns.cause, returns.servers)
        send(neighbour)
        assert {server} == set(went(reader, key).values())


def make(ipvs: NetlinkIpvs, key: AddressKey, config: VirtualServiceConfig) -> None:
    """Make a service of all servers."""
    done(
        ipvs,
        AddService(key, config),
        *(
            AddDestination(key, DestinationKey(address, key.port), DestinationConfig(weight))
            for address, weight in WEIGHTS.items()
        ),
    )


def done(ipvs: NetlinkIpvs, *operations: Operation) -> None:
    """Carry out operations, all of which succeed."""
    assert {Done()} == set(ipvs.apply(operations))
