"""What every implementation of Ipvs does: memory everywhere, netlink and ipvsadm in the lab.

The error numbers are those of Linux 6.1.
"""

import errno
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
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
    ServiceCounters,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    Traffic,
    TunnelFlag,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from lvsctl.results import Done, Failed, Result, Skipped

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
DNS = AddressKey(IpProtocol.UDP, IPv4Address("198.51.100.10"), 53)
WEB6 = AddressKey(IpProtocol.TCP, IPv6Address("2001:db8::10"), 80)
MARK = FwmarkKey(Family.IPV4, 7)
MARK6 = FwmarkKey(Family.IPV6, 0xFFFFFFFF)
RR, WLC = VirtualServiceConfig("rr"), VirtualServiceConfig("wlc")
ONE = DestinationConfig(1)
MASQUERADED = DestinationConfig(1, ForwardingMethod.MASQUERADE, None)
DIRECT = DestinationConfig(1, ForwardingMethod.DIRECT_ROUTE, None)


def at(address: str, port: int = 80) -> DestinationKey:
    return DestinationKey(ip_address(address), port)


RS1, RS2, RS6 = at("192.0.2.11"), at("192.0.2.12"), at("2001:db8::11")
EXISTS, INVALID, RANGE = Failed(errno.EEXIST), Failed(errno.EINVAL), Failed(errno.ERANGE)
NO_SERVICE, MISSING = Failed(errno.ESRCH), Failed(errno.ENOENT)
SKIPPED = Skipped(f"add service {WEB} rr: File exists [EEXIST]")


@pytest.fixture(
    params=[
        "memory",
        pytest.param("netlink", marks=pytest.mark.kernel),
        pytest.param("ipvsadm", marks=pytest.mark.kernel),
    ]
)
def ipvs(request: pytest.FixtureRequest) -> Iterator[Ipvs]:
    with ExitStack() as stack:
        if request.param != "memory":
            stack.enter_context(request.getfixturevalue("node")("lb1").enter())
        opened = open_ipvs(request.param)
        stack.callback(opened.close)
        yield opened


def test_another_thread_reads_the_same_table(ipvs: Ipvs) -> None:
    """Through its own handle."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE))

    def read() -> IpvsTable:
        with closing(ipvs.reader()) as reader:
            return reader.snapshot()

    with ThreadPoolExecutor(1) as other:
        assert {WEB: VirtualService(RR, {RS1: ONE})} == other.submit(read).result()
    assert [WEB] == [*ipvs.snapshot()]


def test_the_kernels_own_order_is_told(ipvs: Ipvs) -> None:
    """The newest destination first, whatever their addresses: hashing schedulers go by it."""
    done(ipvs, AddService(WEB, RR))
    done(ipvs, *(AddDestination(WEB, key, ONE) for key in (RS2, RS1, at("192.0.2.13"))))
    assert [at("192.0.2.13"), RS1, RS2] == list(ipvs.scheduling_order(WEB))
    assert [] == list(ipvs.scheduling_order(DNS))


def test_a_table_without_connections_lists_none(ipvs: Ipvs) -> None:
    """It can be read from the start."""
    assert [] == list(ipvs.connection_entries())


def persistent(
    timeout_s: int = 300, prefix_length: int = 32, engine: str = ""
) -> VirtualServiceConfig:
    return replace(RR, persistence=Persistence(timeout_s, prefix_length, engine))


def tunnel(kind: TunnelType, port: int = 0, flags: int = 0) -> DestinationConfig:
    return DestinationConfig(1, encapsulation=Encapsulation(kind, port, TunnelFlag(flags)))


def done(ipvs: Ipvs, *operations: Operation) -> None:
    assert [Done()] * len(operations) == list(ipvs.apply(operations))


# --- configurations come back as they were asked for

SERVICES: dict[str, tuple[ServiceKey, VirtualServiceConfig]] = {
    "TCP": (WEB, RR),
    "UDP": (DNS, RR),
    "SCTP": (replace(WEB, protocol=IpProtocol.SCTP), RR),
    "IPv6": (WEB6, RR),
    "a firewall mark": (MARK, RR),
    "the largest firewall mark, of IPv6": (MARK6, RR),
    "no scheduler": (WEB, VirtualServiceConfig("none")),
    "one packet": (DNS, replace(RR, flags=ServiceFlag.ONE_PACKET)),
    "one packet under a mark": (MARK, replace(RR, flags=ServiceFlag.ONE_PACKET)),
    "mh with fallback": (WEB, VirtualServiceConfig("mh", ServiceFlag.SCHED1)),
    "mh with fallback and port": (WEB, VirtualServiceConfig("mh", ServiceFlag(0x18))),
    "sh with port": (WEB, VirtualServiceConfig("sh", ServiceFlag.SCHED2)),
    "flags without a name": (WEB, replace(RR, flags=ServiceFlag(0x28))),
    "persistence": (WEB, persistent()),
    "persistence of a network": (WEB, persistent(prefix_length=24)),
    "persistence of all clients": (WEB, persistent(prefix_length=0)),
    "the longest persistence": (WEB, persistent(2678400)),
    "persistence of an IPv6 network": (WEB6, persistent(prefix_length=64)),
    "persistence under an IPv6 mark": (MARK6, persistent(prefix_length=128)),
    "an engine": (replace(DNS, port=5060), persistent(60, 32, "sip")),
    "every port": (replace(WEB, port=0), persistent()),
    "a VIP that no router would carry": (replace(WEB, vip=IPv4Address("224.0.0.1")), RR),
}
DESTINATIONS: dict[str, tuple[ServiceKey, DestinationKey, DestinationConfig]] = {
    "ipip": (WEB, RS1, ONE),
    "gre": (WEB, RS1, tunnel(TunnelType.GRE)),
    "gre with checksum": (WEB, RS1, tunnel(TunnelType.GRE, 0, 1)),
    "gue": (WEB, RS1, tunnel(TunnelType.GUE, 6080)),
    "gue with checksum": (WEB, RS1, tunnel(TunnelType.GUE, 6080, 1)),
    "gue with remote checksum": (WEB, RS1, tunnel(TunnelType.GUE, 65535, 2)),
    "weight 0": (WEB, RS1, replace(ONE, weight=0)),
    "weight 65535": (WEB, RS1, replace(ONE, weight=65535)),
    "thresholds": (WEB, RS1, replace(ONE, upper_threshold=100, lower_threshold=50)),
    "equal thresholds": (WEB, RS1, replace(ONE, upper_threshold=5, lower_threshold=5)),
    "the largest threshold": (WEB, RS1, replace(ONE, upper_threshold=2**31 - 1)),
    "masquerading to another port": (WEB, at("192.0.2.11", 8080), MASQUERADED),
    "direct routing": (WEB, RS1, DIRECT),
    "IPv6": (WEB6, RS6, ONE),
    "IPv6 over IPv4": (WEB6, RS1, ONE),
    "IPv4 over IPv6": (WEB, RS6, ONE),
    "under a mark": (MARK, at("192.0.2.11", 0), ONE),
    "under an IPv6 mark": (MARK6, at("2001:db8::11", 0), ONE),
    "under a mark with a port": (MARK, at("192.0.2.11", 8080), ONE),
    "loopback": (WEB, at("127.0.0.1"), ONE),
    "a reserved address": (WEB, at("240.0.0.1"), ONE),
    "an address of network 0": (WEB, at("0.1.2.3"), ONE),
    "IPv6 loopback": (WEB6, at("::1"), ONE),
    "an IPv4-compatible address": (WEB6, at("::192.0.2.1"), ONE),
    "a unique local address": (WEB6, at("fc00::1"), ONE),
}


@pytest.mark.parametrize("what", SERVICES)
def test_a_service_survives_a_round_trip(ipvs: Ipvs, what: str) -> None:
    """Added, it is in the snapshot; edited from something else, too."""
    key, config = SERVICES[what]
    done(ipvs, AddService(key, config))
    assert ipvs.snapshot() == {key: VirtualService(config)}
    other = replace(WLC, persistence=Persistence(60, key.family.bits))
    done(ipvs, EditService(key, other), EditService(key, config))
    assert ipvs.snapshot() == {key: VirtualService(config)}


@pytest.mark.parametrize("what", DESTINATIONS)
def test_a_destination_survives_a_round_trip(ipvs: Ipvs, what: str) -> None:
    """Added, it is in the snapshot; edited from something else, too."""
    service, key, config = DESTINATIONS[what]
    done(ipvs, AddService(service, RR), AddDestination(service, key, config))
    assert ipvs.snapshot() == {service: VirtualService(RR, {key: config})}
    other = replace(config, weight=9, upper_threshold=3, lower_threshold=2)
    if config.encapsulation:
        other = replace(other, encapsulation=Encapsulation(TunnelType.GUE, 1))
    done(ipvs, EditDestination(service, key, other), EditDestination(service, key, config))
    assert ipvs.snapshot() == {service: VirtualService(RR, {key: config})}


def test_everything_about_a_service_can_be_edited(ipvs: Ipvs) -> None:
    """In place: its destinations are kept."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE))
    other = VirtualServiceConfig("mh", ServiceFlag(0x18), Persistence(60, 24))
    done(ipvs, EditService(WEB, other))
    assert ipvs.snapshot() == {WEB: VirtualService(other, {RS1: ONE})}


def test_everything_about_a_destination_can_be_edited(ipvs: Ipvs) -> None:
    """Weight, thresholds and the tunnel, in place."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE))
    gue = Encapsulation(TunnelType.GUE, 6080, TunnelFlag.CHECKSUM)
    other = DestinationConfig(9, ForwardingMethod.TUNNEL, gue, 3, 2)
    done(ipvs, EditDestination(WEB, RS1, other))
    assert ipvs.snapshot() == {WEB: VirtualService(RR, {RS1: other})}


def test_deleting(ipvs: Ipvs) -> None:
    """A destination, or a service with its destinations."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE), AddDestination(WEB, RS2, ONE))
    done(ipvs, DeleteDestination(WEB, RS1))
    assert ipvs.snapshot() == {WEB: VirtualService(RR, {RS2: ONE})}
    done(ipvs, DeleteService(WEB))
    assert ipvs.snapshot() == {}


# --- sweeps


def test_a_sweep_finds_the_table(ipvs: Ipvs) -> None:
    """In the order of a snapshot; what is as the last sweep found it is the very same value."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE), AddService(DNS, WLC))
    before = dict(ipvs.sweep().services)
    assert [*before.items()] == [*ipvs.snapshot().items()]
    done(ipvs, EditDestination(WEB, RS1, replace(ONE, weight=9)))
    sweep = ipvs.sweep()
    assert before.keys() == sweep.keys.keys()
    after = dict(sweep.services)
    assert ipvs.snapshot() == after
    assert before[DNS] is after[DNS]
    done(ipvs, AddService(MARK, RR), DeleteService(DNS))
    assert [MARK, WEB] == [*ipvs.sweep().keys]


def test_between_two_services_of_a_sweep_anything_may_be_done(ipvs: Ipvs) -> None:
    """One that is deleted meanwhile is left out, or has no destinations."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE), AddService(MARK, RR))
    services = ipvs.sweep().services
    assert (MARK, VirtualService(RR)) == next(services)
    done(ipvs, DeleteService(WEB), AddService(DNS, RR))
    assert [*services] in ([], [(WEB, VirtualService(RR))], [(WEB, VirtualService(RR, {RS1: ONE}))])
    assert {MARK, DNS} == ipvs.snapshot().keys() == dict(ipvs.sweep().services).keys()


# --- results, after AddService(WEB, RR) and AddDestination(WEB, RS1, ONE)

RESULTS: dict[str, list[tuple[Operation, Result]]] = {
    "a service that stands": [(AddService(WEB, RR), EXISTS)],
    "a service that stands, with an unknown scheduler": [
        (AddService(WEB, VirtualServiceConfig("nosuch")), EXISTS)
    ],
    "an unknown scheduler": [(AddService(DNS, VirtualServiceConfig("nosuch")), MISSING)],
    "an unknown engine": [(AddService(DNS, persistent(engine="nosuch")), MISSING)],
    "a missing service edited": [(EditService(DNS, RR), NO_SERVICE)],
    "a missing service edited to an unknown scheduler": [
        (EditService(DNS, VirtualServiceConfig("nosuch")), NO_SERVICE)
    ],
    "a service edited to an unknown scheduler": [
        (EditService(WEB, VirtualServiceConfig("nosuch")), MISSING)
    ],
    "a service edited to an unknown engine": [
        (EditService(WEB, persistent(engine="nosuch")), MISSING)
    ],
    "a missing service deleted": [(DeleteService(DNS), NO_SERVICE)],
    "a service deleted twice": [(DeleteService(WEB), Done()), (DeleteService(WEB), NO_SERVICE)],
    "a destination of a missing service added": [
        (AddDestination(DNS, at("192.0.2.11", 53), ONE), NO_SERVICE)
    ],
    "a destination of a missing service edited": [
        (EditDestination(DNS, at("192.0.2.11", 53), ONE), NO_SERVICE)
    ],
    "a destination of a missing service deleted": [
        (DeleteDestination(DNS, at("192.0.2.11", 53)), NO_SERVICE)
    ],
    "a destination that stands": [(AddDestination(WEB, RS1, ONE), EXISTS)],
    "a missing destination edited": [(EditDestination(WEB, RS2, ONE), MISSING)],
    "a missing destination deleted": [(DeleteDestination(WEB, RS2), MISSING)],
    "a missing destination of the other family deleted": [(DeleteDestination(WEB, RS6), MISSING)],
    "a destination deleted with its service": [
        (DeleteService(WEB), Done()),
        (DeleteDestination(WEB, RS1), NO_SERVICE),
    ],
    "a lower threshold above the upper": [
        (AddDestination(WEB, RS2, replace(ONE, upper_threshold=5, lower_threshold=10)), RANGE)
    ],
    "a lower threshold without an upper": [
        (AddDestination(WEB, RS2, replace(ONE, lower_threshold=1)), RANGE)
    ],
    "a destination that stands, with wrong thresholds": [
        (AddDestination(WEB, RS1, replace(ONE, lower_threshold=1)), RANGE)
    ],
    "a destination edited to wrong thresholds": [
        (EditDestination(WEB, RS1, replace(ONE, lower_threshold=1)), RANGE)
    ],
    "a missing destination edited to wrong thresholds": [
        (EditDestination(WEB, RS2, replace(ONE, lower_threshold=1)), RANGE)
    ],
    "multicast": [(AddDestination(WEB, at("224.0.0.1"), ONE), INVALID)],
    "the last multicast address": [(AddDestination(WEB, at("239.255.255.255"), ONE), INVALID)],
    "broadcast": [(AddDestination(WEB, at("255.255.255.255"), ONE), INVALID)],
    "the unspecified address": [(AddDestination(WEB, at("0.0.0.0"), ONE), INVALID)],  # noqa: S104
    "the unspecified IPv6 address": [(AddDestination(WEB, at("::"), ONE), INVALID)],
    "an IPv6 link-local address": [(AddDestination(WEB, at("fe80::1"), ONE), INVALID)],
    "IPv6 multicast": [(AddDestination(WEB, at("ff02::1"), ONE), INVALID)],
    "an IPv4-mapped address": [(AddDestination(WEB, at("::ffff:192.0.2.1"), ONE), INVALID)],
    "a missing multicast destination edited": [
        (EditDestination(WEB, at("224.0.0.1"), ONE), MISSING)
    ],
    "masquerading to the other family": [
        (
            AddDestination(WEB, RS6, MASQUERADED),
            Failed(errno.EINVAL, "a destination of the other family needs the tunnel method"),
        )
    ],
    "a weight beyond the range": [
        (
            AddDestination(WEB, RS2, replace(ONE, weight=70000)),
            Failed(errno.ERANGE, "weight 70000 (allowed: 0 to 65535)"),
        )
    ],
    "destinations of a service that was there before": [
        (AddService(WEB, RR), EXISTS),
        (AddDestination(WEB, RS2, ONE), SKIPPED),
        (EditDestination(WEB, RS1, replace(ONE, weight=5)), SKIPPED),
        (DeleteDestination(WEB, RS1), SKIPPED),
    ],
    "destinations of a service that could not be added": [
        (AddService(DNS, VirtualServiceConfig("nosuch")), MISSING),
        (
            AddDestination(DNS, at("192.0.2.11", 53), ONE),
            Skipped(f"add service {DNS} nosuch: No such file or directory [ENOENT]"),
        ),
        (AddDestination(WEB, RS2, ONE), Done()),
    ],
    "a service replaced": [
        (DeleteService(WEB), Done()),
        (AddService(WEB, WLC), Done()),
        (AddDestination(WEB, RS1, ONE), Done()),
        (AddDestination(WEB, RS1, ONE), EXISTS),
    ],
    "a refused operation among others": [
        (AddDestination(WEB, at("224.0.0.1"), ONE), INVALID),
        (AddDestination(WEB, RS2, ONE), Done()),
        (EditDestination(WEB, RS1, replace(ONE, weight=2)), Done()),
        (EditDestination(WEB, at("192.0.2.99"), ONE), MISSING),
        (AddDestination(WEB, at("192.0.2.13"), ONE), Done()),
        (DeleteDestination(WEB, at("192.0.2.98")), MISSING),
        (AddDestination(WEB, RS2, ONE), EXISTS),
        (DeleteDestination(WEB, RS1), Done()),
    ],
    "nothing": [],
}


@pytest.mark.parametrize("what", RESULTS)
def test_results_are_those_of_the_kernel(ipvs: Ipvs, what: str) -> None:
    """One for each operation, in order; if all are refused, nothing changes."""
    done(ipvs, AddService(WEB, RR), AddDestination(WEB, RS1, ONE))
    expected = [result for _, result in RESULTS[what]]
    assert expected == list(ipvs.apply([operation for operation, _ in RESULTS[what]]))
    if Done() not in expected:
        assert ipvs.snapshot() == {WEB: VirtualService(RR, {RS1: ONE})}


# --- reading

FEW: dict[ServiceKey, VirtualService] = {
    MARK: VirtualService(RR),
    DNS: VirtualService(WLC),
    WEB: VirtualService(RR, {RS1: ONE, RS2: ONE, RS6: ONE}),
    MARK6: VirtualService(RR),
    WEB6: VirtualService(RR, {RS6: ONE}),
}


def adding(table: dict[ServiceKey, VirtualService]) -> Sequence[Operation]:
    """Return the operations that create a table, in reverse order."""
    operations: list[Operation] = []
    for key, service in reversed(table.items()):
        operations.append(AddService(key, service.config))
        operations += [
            AddDestination(key, destination, config)
            for destination, config in reversed(list(service.destinations.items()))
        ]
    return operations


def test_an_empty_table_is_empty(ipvs: Ipvs) -> None:
    """No services and no counters."""
    assert ipvs.snapshot() == {}
    assert ipvs.counters() == {}


def test_a_snapshot_is_in_order(ipvs: Ipvs) -> None:
    """By family, marks before addresses, address, protocol, port; destinations too."""
    done(ipvs, *adding(FEW))
    in_order = sorted(FEW, key=lambda key: key.sort_key)
    assert in_order == list(ipvs.snapshot())
    assert [RS1, RS2, RS6] == list(ipvs.snapshot()[WEB].destinations)


def test_a_snapshot_of_some_keys(ipvs: Ipvs) -> None:
    """Keys that do not exist are left out; no keys give an empty table, not all."""
    done(ipvs, *adding(FEW))
    missing = replace(WEB, port=81)
    assert ipvs.snapshot([WEB, missing, MARK6]) == {WEB: FEW[WEB], MARK6: FEW[MARK6]}
    assert ipvs.snapshot([missing]) == {}
    assert ipvs.snapshot([]) == {}
    assert list(ipvs.counters([WEB, missing, MARK6])) == [WEB, MARK6]


def test_counters_of_a_table_without_traffic_are_zero(ipvs: Ipvs) -> None:
    """For every service and destination, in the order of the snapshot."""
    done(ipvs, *adding(FEW))
    quiet = DestinationCounters(Traffic(), 0, 0, 0)
    counters = ipvs.counters()
    assert counters == {
        key: ServiceCounters(Traffic(), dict.fromkeys(service.destinations, quiet))
        for key, service in FEW.items()
    }
    assert list(ipvs.snapshot()) == list(counters)
    assert (ipvs.snapshot(), counters) == ipvs.counted_snapshot()


def test_initial_timeouts_are_the_kernels(ipvs: Ipvs) -> None:
    """15 minutes, 2 minutes, 5 minutes."""
    assert Timeouts(900, 120, 300) == ipvs.timeouts()


def test_timeouts_of_zero_change_nothing(ipvs: Ipvs) -> None:
    """As ipvsadm(8) documents for --set."""
    done(ipvs, SetTimeouts(Timeouts(100, 0, 50)))
    assert Timeouts(100, 120, 50) == ipvs.timeouts()
    done(ipvs, SetTimeouts(Timeouts(2678400, 1, 0)))
    assert Timeouts(2678400, 1, 50) == ipvs.timeouts()


# --- many

MANY: dict[ServiceKey, VirtualService] = {
    replace(WEB, port=port): VirtualService(
        RR, {at(f"192.0.2.{host}", port): DestinationConfig(host) for host in range(1, 11)}
    )
    for port in range(1, 101)
}


def test_many_services_in_one_call(ipvs: Ipvs) -> None:
    """More than fit in a chunk, and more than a snapshot requests one by one."""
    done(ipvs, *adding(MANY))
    assert ipvs.snapshot() == MANY
    half = list(MANY)[:50]
    assert ipvs.snapshot(half) == {key: MANY[key] for key in half}


def test_one_refusal_among_many_is_reported(ipvs: Ipvs) -> None:
    """In any chunk; the other operations are done."""
    operations = list(adding(MANY))
    operations.insert(700, AddDestination(WEB, at("224.0.0.1"), ONE))
    results = list(ipvs.apply(operations))
    assert {index for index, result in enumerate(results) if result != Done()} == {700}
    assert results[700] == INVALID
    assert ipvs.snapshot() == MANY


def test_many_destinations_of_foreign_services_are_skipped(ipvs: Ipvs) -> None:
    """Existing services keep their destinations, however large the call."""
    foreign = list(MANY)[::10]
    done(ipvs, *(AddService(key, WLC) for key in foreign))
    results = ipvs.apply(adding(MANY))
    assert [len(MANY) * 11 - 110, 10, 100] == [
        sum(isinstance(result, kind) for result in results) for kind in (Done, Failed, Skipped)
    ]
    assert ipvs.snapshot(foreign) == {key: VirtualService(WLC) for key in foreign}
