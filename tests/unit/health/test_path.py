"""Problems of the director that freeze verdicts of probes through the tunnel."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from lvsctl.health.marks import ProbeMark, TunnelPath, mark_table
from lvsctl.health.path import (
    LOCAL_TABLE,
    REUSE_MODE,
    Egress,
    PathFacts,
    TunnelProbe,
    egress_to,
    path_problem,
    path_sysctls,
)
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    RouteConfig,
    RouteKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.ipvs.table import DestinationConfig, Encapsulation, VirtualService
from lvsctl.net import Family, IPAddress
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import ReasonKind

VIP, VIP6 = ip_address("198.51.100.10"), ip_address("2001:db8:51::10")
DIP, DIP6 = ip_address("192.0.2.10"), ip_address("2001:db8:2::10")
RIP, RIP6 = ip_address("192.0.2.11"), ip_address("2001:db8:2::11")
FAR = ip_address("203.0.113.14")
MARK = ProbeMark(0x4C560000, 61000)
ON_LVS0 = {
    AddressKey("lvs0", ip_interface(f"{VIP}/32")): AddressConfig(),
    AddressKey("lvs0", ip_interface(f"{VIP6}/128")): AddressConfig(nodad=True, deprecated=True),
}
ADDRESSES = {
    AddressKey("lo", ip_interface("127.0.0.1/8")): AddressConfig(),
    AddressKey("eth1", ip_interface("203.0.113.10/24")): AddressConfig(),
    AddressKey("eth0", ip_interface("fe80::1/64")): AddressConfig(),
    AddressKey("eth0", ip_interface(f"{DIP}/24")): AddressConfig(),
    AddressKey("eth0", ip_interface(f"{DIP6}/64")): AddressConfig(),
    **ON_LVS0,
}


def route(
    destination: str, link: str | None, table: int = MAIN_TABLE, **config: object
) -> Mapping[RouteKey, RouteConfig]:
    key = RouteKey(table, ip_network(destination), int(str(config.pop("metric", 0))))
    return {key: RouteConfig(link, **config)}  # type: ignore[arg-type]


ROUTES = {
    **route("0.0.0.0/0", "eth1", gateway=ip_address("203.0.113.1")),
    **route("192.0.2.0/24", "eth0", source=DIP),
    **route("2001:db8:2::/64", "eth0"),
}


def sysctl(name: str, link: str = "eth0") -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", link, name))


def probe(family: Family = Family.IPV4, server: IPAddress = RIP) -> TunnelProbe:
    path = TunnelPath(family, server, Encapsulation())
    vip, source = (VIP, DIP) if family is Family.IPV4 else (VIP6, DIP6)
    return TunnelProbe(path, MARK, vip, Egress("eth0", source))


def facts(of: TunnelProbe) -> PathFacts:
    """Return the observation of a director without problems."""
    values = {key: SysctlConfig("0") for key in path_sysctls(["eth0"])}
    values |= {sysctl("accept_local"): SysctlConfig("1"), REUSE_MODE: SysctlConfig("1")}
    return PathFacts(
        mark_table({of.path: of.mark}), ADDRESSES, ROUTES, values, frozenset({VIP, VIP6})
    )


PROBES = [probe(), probe(server=RIP6), probe(Family.IPV6), probe(Family.IPV6, RIP6)]


@pytest.mark.parametrize("each", PROBES, ids=lambda each: str(each.path))
def test_nothing_freezes_without_a_problem(each: TunnelProbe) -> None:
    """For every pair of families; and the egress is the given one."""
    found = facts(each)
    assert path_problem(each, found, found) is None
    assert each.egress == egress_to(each.path, found)


def without(present: PathFacts, vip: IPAddress) -> PathFacts:
    return replace(
        present, addresses={k: v for k, v in present.addresses.items() if k.address.ip != vip}
    )


def value(present: PathFacts, key: SysctlKey, text: str) -> PathFacts:
    return replace(present, sysctls={**present.sysctls, key: SysctlConfig(text)})


def changed(present: PathFacts, **config: int) -> PathFacts:
    ((key, mark),) = present.services.items()
    ((at, destination),) = mark.destinations.items()
    other = VirtualService(mark.config, {at: replace(destination, **config)})  # type: ignore[arg-type]
    return replace(present, services={key: other})


def crowded(present: PathFacts) -> PathFacts:
    ((key, mark),) = present.services.items()
    ((at, _),) = mark.destinations.items()
    two = {**mark.destinations, replace(at, address=FAR): DestinationConfig(1)}
    return replace(present, services={key: VirtualService(mark.config, two)})


GOOD = facts(probe())
AMISS: Mapping[str, tuple[PathFacts, ReasonKind]] = {
    "the mark has no service": (replace(GOOD, services={}), reasons.NO_PROBE_SERVICE),
    "the mark's weight is 0": (changed(GOOD, weight=0), reasons.PROBE_SERVICE_DIFFERS),
    "the mark has two servers": (crowded(GOOD), reasons.PROBE_SERVICE_DIFFERS),
    "the VIP is gone": (without(GOOD, VIP), reasons.PROBE_VIP_ABSENT),
    "the DIP is gone": (without(GOOD, DIP), reasons.SOURCE_GONE),
    "no route": (replace(GOOD, routes={}), reasons.NO_ROUTE),
    "a dead end": (
        replace(GOOD, routes=ROUTES | route("192.0.2.11/32", None, type="blackhole")),
        reasons.NO_ROUTE,
    ),
    "another device": (
        replace(GOOD, routes=ROUTES | route("192.0.2.11/32", "eth1")),
        reasons.ROUTE_MOVED,
    ),
    "accept_local": (value(GOOD, sysctl("accept_local"), "0"), reasons.ACCEPT_LOCAL_OFF),
    "rp_filter of the device": (value(GOOD, sysctl("rp_filter"), "1"), reasons.STRICT_RP_FILTER),
    "rp_filter of all": (value(GOOD, sysctl("rp_filter", "all"), "1"), reasons.STRICT_RP_FILTER),
    "conn_reuse_mode": (value(GOOD, REUSE_MODE, "0"), reasons.REUSE_MODE),
}


@pytest.mark.parametrize("name", AMISS)
def test_a_problem_before_or_after_freezes(name: str) -> None:
    """In either observation, and the reason names it."""
    amiss, expected = AMISS[name]
    for why in (path_problem(probe(), amiss, GOOD), path_problem(probe(), GOOD, amiss)):
        assert why is not None
        assert expected is why.kind


BEARABLE: Mapping[str, PathFacts] = {
    "accept_local of all devices": value(
        value(GOOD, sysctl("accept_local"), "0"), sysctl("accept_local", "all"), "1"
    ),
    "loose rp_filter": value(
        value(GOOD, sysctl("rp_filter"), "1"), sysctl("rp_filter", "all"), "2"
    ),
    "strict rp_filter with the VIP on that device": value(
        replace(
            GOOD,
            addresses=ADDRESSES | {AddressKey("eth0", ip_interface(f"{VIP}/32")): AddressConfig()},
        ),
        sysctl("rp_filter"),
        "1",
    ),
    "a VIP that is local by a route": replace(
        without(GOOD, VIP),
        routes=ROUTES | route("198.51.100.0/24", "lo", LOCAL_TABLE, type="local"),
    ),
    "a VIP that is local by a route of its own": replace(
        without(GOOD, VIP), routes=ROUTES | route(f"{VIP}/32", "lo", LOCAL_TABLE, type="local")
    ),
    "a worse route elsewhere": replace(
        GOOD, routes=ROUTES | route("192.0.2.0/24", "eth1", metric=100)
    ),
}


@pytest.mark.parametrize("name", BEARABLE)
def test_settings_that_let_answers_through_do_not_freeze(name: str) -> None:
    """A verdict frozen without need keeps a dead server in service."""
    assert path_problem(probe(), BEARABLE[name]) is None


def test_ipv6_needs_no_sysctl() -> None:
    """IPv6 has neither accept_local nor rp_filter."""
    each = probe(Family.IPV6, RIP6)
    closed = value(value(facts(each), sysctl("accept_local"), "0"), sysctl("rp_filter"), "1")
    assert path_problem(each, closed) is None


def test_the_source_is_never_a_vip() -> None:
    """Nor a deprecated, link-local or loopback address that the route prefers."""
    path = TunnelPath(Family.IPV4, RIP, Encapsulation())
    by_vip = replace(GOOD, routes=route("192.0.2.0/24", "eth0", source=VIP))
    assert Egress("eth0", DIP) == egress_to(path, by_vip)
    assert Egress("eth0", ip_address("203.0.113.10")) == egress_to(path, without(by_vip, DIP))
    only = {k: v for k, v in ADDRESSES.items() if k.link in ("lo", "lvs0")}
    assert egress_to(path, replace(by_vip, addresses=only)) is None


def test_the_source_is_the_oldest_address_of_the_device() -> None:
    """If the route names none; for a server behind a gateway, of the gateway's device."""
    assert Egress("eth1", ip_address("203.0.113.10")) == egress_to(
        TunnelPath(Family.IPV4, FAR, Encapsulation()), GOOD
    )
