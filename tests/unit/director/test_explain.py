"""Where a connection goes, by what the kernel has at the moment."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lvsctl.director.explain import Cause, Explanation, Flow, ServiceView, explain
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationCounters,
    DestinationKey,
    FwmarkKey,
    Persistence,
    ServiceCounters,
    ServiceFlag,
    ServiceKey,
    Traffic,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol

CLIENT, VIP = IPv4Address("203.0.113.9"), IPv4Address("198.51.100.10")
WEB, MARK = AddressKey(IpProtocol.TCP, VIP, 80), FwmarkKey(Family.IPV4, 7)
FLOW = Flow(IpProtocol.TCP, CLIENT, 40000, VIP, 80)
RS1, RS2 = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
ENTRY = Connection("tcp", CLIENT, 40000, VIP, 80, RS2, 80, "ESTABLISHED", 899)
TEMPLATE = replace(ENTRY, client=IPv4Address("203.0.113.0"), client_port=0, state="NONE")
OF_MARK = replace(TEMPLATE, protocol="ip", vip=IPv4Address(7), vip_port=0)
OTHER = replace(ENTRY, client_port=40001)
TO_NETWORKS = Persistence(300, 24)


def view(
    scheduler: str = "rr",
    weights: Mapping[IPv4Address, int] = {RS1: 100, RS2: 100},
    key: ServiceKey = WEB,
    flags: ServiceFlag = ServiceFlag(0),
    persistence: Persistence | None = None,
) -> ServiceView:
    """Return a service."""
    destinations = {
        DestinationKey(address, 80): DestinationConfig(weight)
        for address, weight in weights.items()
    }
    config = VirtualServiceConfig(scheduler, flags, persistence)
    order = [*destinations][::-1]
    counters = ServiceCounters(Traffic(), {})
    service = VirtualService(config, destinations)
    return ServiceView(key, service, order, counters, dict.fromkeys(weights, 100))


def test_a_connection_that_exists_stays() -> None:
    """Whatever the service says now, and without one too."""
    of_web = Explanation(Cause.CONNECTION, (RS2,), ENTRY, WEB, "rr")
    assert of_web == explain(FLOW, view(weights={RS1: 100}), [OTHER, ENTRY])
    assert Explanation(Cause.CONNECTION, (RS2,), ENTRY) == explain(FLOW, None, [ENTRY])


@pytest.mark.parametrize(("key", "template"), [(WEB, TEMPLATE), (MARK, OF_MARK)])
def test_a_client_that_was_here_stays_with_its_server(
    key: ServiceKey, template: Connection
) -> None:
    """By its network, for the time of the persistence; unless that server takes nothing new."""
    persistent = view(key=key, persistence=TO_NETWORKS)
    found = explain(FLOW, persistent, [OTHER, template])
    assert Explanation(Cause.PERSISTENCE, (RS2,), template, key, "rr") == found
    drained = view(key=key, persistence=TO_NETWORKS, weights={RS1: 100, RS2: 0})
    assert (Cause.SCHEDULER, (RS1,)) == _what(explain(FLOW, drained, [template]))
    assert Cause.SCHEDULER is explain(FLOW, view(key=key), [template]).cause


def _what(found: Explanation) -> tuple[Cause, object]:
    return found.cause, found.servers


def test_maglev_has_one_server_for_a_client() -> None:
    """Where that takes nothing new, another one with fallback and none without."""
    found = explain(FLOW, view("mh"), [])
    assert Cause.HASH is found.cause
    (chosen,) = found.servers
    (other,) = {RS1, RS2} - {chosen}
    weights = {RS1: 100, RS2: 100} | {chosen: 0}
    assert (Cause.NOBODY, ()) == _what(explain(FLOW, view("mh", weights), []))
    fallback = view("mh", weights, flags=ServiceFlag.SCHED1)
    assert (Cause.HASH, (other,)) == _what(explain(FLOW, fallback, []))


def test_source_hashing_gives_places_by_the_present_weight() -> None:
    """A drained server keeps one place in each round, whose clients nobody takes."""
    flows = [replace(FLOW, client=CLIENT + number) for number in range(2000)]
    causes = [explain(flow, view("sh", {RS1: 3, RS2: 0}), []).cause for flow in flows]
    assert 400 < causes.count(Cause.NOBODY) < 600
    fallback = view("sh", {RS1: 3, RS2: 0}, flags=ServiceFlag.SCHED1)
    assert {(RS1,)} == {explain(flow, fallback, []).servers for flow in flows}


def test_the_clients_port_counts_only_if_the_service_says_so() -> None:
    """``mh-port`` and ``sh-port``."""
    flows = [replace(FLOW, client_port=port) for port in range(40000, 40050)]
    for scheduler in ("mh", "sh"):
        by_port = view(scheduler, flags=ServiceFlag.SCHED2)
        assert 1 == len({explain(flow, view(scheduler), []).servers for flow in flows})
        assert 2 == len({explain(flow, by_port, []).servers for flow in flows})


def test_other_schedulers_have_candidates() -> None:
    """Those that take new connections: a weight, and room below the threshold."""
    assert (Cause.SCHEDULER, (RS2, RS1)) == _what(explain(FLOW, view("wlc"), []))
    full = view("wlc", {RS1: 100})
    key = DestinationKey(RS1, 80)
    config = replace(full.service.destinations[key], upper_threshold=5)
    open_now = {key: DestinationCounters(Traffic(), 3, 2, 0)}
    full = replace(
        full,
        service=replace(full.service, destinations={key: config}),
        counters=ServiceCounters(Traffic(), open_now),
    )
    assert (Cause.NOBODY, ()) == _what(explain(FLOW, full, []))


def test_a_threshold_keeps_no_client_away_whom_persistence_brings() -> None:
    """The kernel looks at it only for clients that are new."""
    key = DestinationKey(RS2, 80)
    persistent = view(persistence=TO_NETWORKS)
    destinations = dict(persistent.service.destinations)
    destinations[key] = replace(destinations[key], upper_threshold=1)
    full = replace(
        persistent,
        service=replace(persistent.service, destinations=destinations),
        counters=ServiceCounters(Traffic(), {key: DestinationCounters(Traffic(), 1, 0, 1)}),
    )
    assert (Cause.PERSISTENCE, (RS2,)) == _what(explain(FLOW, full, [TEMPLATE]))
    assert (Cause.SCHEDULER, (RS1,)) == _what(explain(FLOW, full, []))


def test_no_service() -> None:
    """Is said so."""
    assert Explanation(Cause.NO_SERVICE) == explain(FLOW, None, [OTHER])
