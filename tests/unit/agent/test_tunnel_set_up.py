"""Every tunnel and family: which devices, which MSS, and no VIP ever missing meanwhile."""

import errno
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.mss import MAX_ROUTES, RULE_PRIORITY, TABLE, vip_rule
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    FouPortConfig,
    FouPortKey,
    HostChange,
    HostState,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
    RuleConfig,
    RuleKey,
    SysctlKey,
)
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import Assignment, Severity, Tunnel
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.results import Failed, Result
from tests.unit.agent.bench import Bench, Killed

RIP4, RIP6 = IPv4Address("192.0.2.11"), IPv6Address("2001:db8:2::11")
VIP4, OTHER4 = IPv4Address("198.51.100.10"), IPv4Address("198.51.100.20")
VIP6 = IPv6Address("2001:db8:51::10")
GATEWAY4, GATEWAY6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8:2::1")
IPIP, GRE, GRE_CHECKSUM = Tunnel("ipip"), Tunnel("gre"), Tunnel("gre", checksum=True)
GUE = Tunnel("gue", port=6080)
TUNNELS = (IPIP, GRE, GRE_CHECKSUM, GUE)


def assigned(*vips: IPAddress, tunnels: tuple[Tunnel, ...], mtu: int | None = None) -> Assignments:
    return Assignments((Assignment("f1", "rs2", vips, tunnels, mtu),))


def bench(rip: IPAddress = RIP4, memory: MemoryHost | None = None) -> Bench:
    """Return a host with an address, a network and a default route of each family."""
    made = Bench(memory or MemoryHost([Hardware("eth0")]), address=rip)
    for address, gateway in (("192.0.2.11/24", GATEWAY4), ("2001:db8:2::11/64", GATEWAY6)):
        own = ip_interface(address)
        made.put(AddressKey("eth0", own), AddressConfig())
        made.put(RouteKey(MAIN_TABLE, own.network), RouteConfig("eth0", scope=253))
        made.put(RouteKey(MAIN_TABLE, EVERYWHERE[own.version]), RouteConfig("eth0", gateway))
    return made


EVERYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def everything(seen: Bench) -> HostState:
    """Observe all that a set-up may change."""
    rules = [vip_rule(vip) for vip in (VIP4, OTHER4, VIP6)]
    ports = [FouPortKey(family, GUE.port) for family in Family]
    routes = {key: config for family in Family for key, config in ours(seen, family).items()}
    return {**seen.dump(), **seen.memory.observe([*rules, *ports]), **routes}


def ours(seen: Bench, family: Family) -> dict[RouteKey, RouteConfig]:
    return dict(seen.memory.routes(family, TABLE))


def advmss(seen: Bench, version: int) -> int | None:
    """Return what our table's default route announces."""
    route = RouteKey(TABLE, EVERYWHERE[version])
    config = seen.memory.observe([route])[route]
    assert isinstance(config, RouteConfig)
    return config.advmss


def up(seen: Bench) -> set[str]:
    """Return the tunnel devices that are up."""
    links = seen.memory.observe([LinkKey(name) for name in seen.memory.links()])
    return {
        str(key)
        for key, config in links.items()
        if isinstance(config, LinkConfig) and config.up and config.kind
    }


DEVICES = [
    (IPIP, RIP4, VIP4, {"tunl0"}, 20),
    (IPIP, RIP4, VIP6, {"sit0"}, 20),
    (IPIP, RIP6, VIP4, {"lvs-ip6tnl"}, 40),
    (IPIP, RIP6, VIP6, {"lvs-ip6tnl"}, 40),
    (GRE, RIP4, VIP4, {"gre0"}, 24),
    (GRE, RIP4, VIP6, {"gre0"}, 24),
    (GRE, RIP6, VIP4, {"lvs-ip6gre"}, 44),
    (GRE, RIP6, VIP6, {"lvs-ip6gre"}, 44),
    (GRE_CHECKSUM, RIP4, VIP4, {"lvs-gre-csum"}, 28),
    (GRE_CHECKSUM, RIP4, VIP6, {"lvs-gre-csum"}, 28),
    (GRE_CHECKSUM, RIP6, VIP4, {"lvs-ip6gre-csum"}, 48),
    (GRE_CHECKSUM, RIP6, VIP6, {"lvs-ip6gre-csum"}, 48),
    (GUE, RIP4, VIP4, {"tunl0"}, 32),
    (GUE, RIP4, VIP6, {"sit0"}, 32),
    (GUE, RIP6, VIP4, {"lvs-ip6tnl"}, 52),
    (GUE, RIP6, VIP6, {"lvs-ip6tnl"}, 52),
]


@pytest.mark.parametrize(("tunnel", "rip", "vip", "devices", "overhead"), DEVICES)
def test_a_tunnel_has_its_devices(
    tunnel: Tunnel, rip: IPAddress, vip: IPAddress, devices: set[str], overhead: int
) -> None:
    """Only what it needs is made, the MSS leaves room for it, and leaving undoes all of it."""
    host = bench(rip)
    before = everything(host)
    condition = host.check(assigned(vip, tunnels=(tunnel,)))
    assert ((vip,), (tunnel,), ()) == (condition.ready, condition.tunnels, condition.findings)
    assert devices == up(host)
    ports = {family for family in Family if port_is_open(host, family)}
    assert ({family_of(rip)} if tunnel is GUE else set()) == ports
    assert 1500 - overhead - (40 if vip.version == 4 else 60) == advmss(host, vip.version)
    place = AddressKey(next(iter(devices)) if vip.version == 4 else "lo", ip_interface(vip))
    silent = AddressConfig(nodad=vip.version == 6, deprecated=vip.version == 6)
    assert {place: silent} == host.memory.observe([place])
    assert () == host.server.undo()
    after = everything(host)
    fallbacks = {name for name in devices if name in FALLBACK_DEVICES}
    assert before == {
        key: config for key, config in after.items() if fallbacks.isdisjoint(str(key).split("."))
    }


def port_is_open(host: Bench, family: Family) -> bool:
    key = FouPortKey(family, GUE.port)
    return host.memory.observe([key])[key] == FouPortConfig()


tasks = st.builds(
    lambda vips, tunnels, mtu: assigned(*sorted(vips, key=str), tunnels=tuple(tunnels), mtu=mtu),
    st.sets(st.sampled_from([VIP4, OTHER4, VIP6])),
    st.lists(st.sampled_from(TUNNELS), unique=True, max_size=3),
    st.sampled_from([None, 1400]),
)
rips = st.sampled_from([RIP4, RIP6])
loadable = st.sets(st.sampled_from(sorted(FALLBACK_DEVICES)))


def started(rip: IPAddress, present: set[str]) -> Bench:
    """Return a host that has some fallback devices, and can have no others."""
    host = bench(rip, MemoryHost([Hardware("eth0")], loadable=present))
    for name in present:
        host.put(LinkKey(name), LinkConfig(FALLBACK_DEVICES[name].kind, up=False))
    return host


@given(
    rips, loadable, st.lists(st.tuples(tasks, st.integers(1, 20)), max_size=3), st.integers(1, 9)
)
def test_interrupted_anywhere_then_left_is_as_found(
    rip: IPAddress,
    present: set[str],
    attempts: list[tuple[Assignments, int]],
    undo_after: int,
) -> None:
    """Any tasks, each killed after any change, then leaving killed after any change, then left."""
    host = started(rip, present)
    before = everything(host)
    for task, kill_after in attempts:
        host.kill_after = len(host.changes) + kill_after
        try:
            host.check(task)
        except Killed:
            host.started()
    host.kill_after = len(host.changes) + undo_after
    try:
        host.server.undo()
    except Killed:
        host.started()
    host.kill_after = None
    assert () == host.server.undo()
    assert before == everything(host)


@settings(deadline=None)
@given(rips, loadable, st.lists(tasks, min_size=1, max_size=3))
def test_tasks_are_carried_out(
    rip: IPAddress, present: set[str], in_turn: list[Assignments]
) -> None:
    """After any others, a task leaves the host as if it had been the first, and it stays so."""
    host, fresh = started(rip, present), started(rip, present)
    for task in in_turn[:-1]:
        host.check(task)
    task = in_turn[-1]
    exclusive = {GRE, GRE_CHECKSUM} <= set(task.tunnels)
    condition, expected = host.check(task), fresh.check(task)
    assert set(expected.ready) == set(condition.ready) == set(task.vips if task.tunnels else ())
    if not exclusive:
        assert task.tunnels == condition.tunnels
        assert up(fresh) == up(host)
        assert [ours(fresh, family) for family in Family] == [
            ours(host, family) for family in Family
        ]
    host.changes.clear()
    host.check(task)
    assert [] == host.changes


some_tunnels = st.lists(st.sampled_from(TUNNELS), unique=True, min_size=1, max_size=3).map(tuple)


@settings(deadline=None)
@given(rips, loadable, st.lists(some_tunnels, min_size=2, max_size=4))
def test_a_vip_is_never_missing(
    rip: IPAddress, present: set[str], in_turn: list[tuple[Tunnel, ...]]
) -> None:
    """While tunnels come and go, at every step each VIP is on a device that is up, and silent.

    But for gre with and without checksum, which exclude each other; a director keeps the old one.
    """
    assume(not any({GRE, GRE_CHECKSUM} <= {*old, *new} for old, new in pairwise(in_turn)))
    host = started(rip, present)
    host.check(assigned(VIP4, VIP6, tunnels=in_turn[0]))

    def look(change: HostChange) -> None:
        places = {key.link for key in host.memory.addresses() if key.address.ip == VIP4}
        assert places & up(host), f"{VIP4} is missing after {change}"
        assert AddressKey("lo", ip_interface(VIP6)) in host.memory.addresses()
        assert (1, 2) == (host.value("all", "arp_ignore"), host.value("all", "arp_announce"))
        assert any(0 == host.effective(place, "rp_filter") for place in places & up(host))
        assert ours(host, Family.IPV4)

    host.after_each = look
    for tunnels in in_turn[1:]:
        assert {VIP4, VIP6} == set(host.check(assigned(VIP4, VIP6, tunnels=tunnels)).ready)


@pytest.mark.parametrize("rip", [RIP4, RIP6])
def test_gre_with_and_without_checksum_exclude_each_other(rip: IPAddress) -> None:
    """What was there first is kept until it is no longer assigned."""
    both = assigned(VIP4, tunnels=(GRE, GRE_CHECKSUM))
    for first, second in ((GRE, GRE_CHECKSUM), (GRE_CHECKSUM, GRE)):
        host = bench(rip)
        host.check(assigned(VIP4, tunnels=(first,)))
        condition = host.check(both)
        assert ((VIP4,), (first,)) == (condition.ready, condition.tunnels)
        assert "with and without checksum" in condition.findings[0].detail
        condition = host.check(assigned(VIP4, tunnels=(second,)))
        assert ((VIP4,), (second,), ()) == (
            condition.ready,
            condition.tunnels,
            condition.findings,
        )


def test_a_tunnel_without_its_module_holds_up_no_other() -> None:
    """The old tunnel is served on, the new one is not accepted, and the finding says why."""
    host = bench(memory=MemoryHost([Hardware("eth0")], loadable={"tunl0"}))
    refuse_kind(host, "gre")
    host.check(assigned(VIP4, tunnels=(IPIP,)))
    condition = host.check(assigned(VIP4, tunnels=(GRE, IPIP)))
    assert ((VIP4,), (IPIP,)) == (condition.ready, condition.tunnels)
    (finding,) = condition.findings
    assert "module gre" in finding.cure


def refuse_kind(host: Bench, kind: str) -> None:
    """Let the host have no devices of a kind."""
    apply = host.memory.apply

    def refusing(changes: list[HostChange]) -> list[Result]:
        if any(isinstance(to.config, LinkConfig) and to.config.kind == kind for to in changes):
            number = errno.ENODEV if str(changes[0].key) in FALLBACK_DEVICES else errno.EOPNOTSUPP
            return [Failed(number)] * len(changes)
        return list(apply(changes))

    host.memory.apply = refusing  # type: ignore[method-assign, assignment]


def test_a_port_of_another_program() -> None:
    """It is told, and gue is not accepted until the port is free."""
    host = bench()
    host.put(FouPortKey(Family.IPV4, GUE.port), FouPortConfig(gue=False, protocol=4))
    condition = host.check(assigned(VIP4, tunnels=(GUE, IPIP)))
    assert ((VIP4,), (IPIP,)) == (condition.ready, condition.tunnels)
    assert [f"fou port {GUE.port}"] == [finding.subject for finding in condition.findings]


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        (vip_rule(VIP4), f"rule {RULE_PRIORITY} from {VIP4}/32 lookup {TABLE}"),
        (FouPortKey(Family.IPV4, GUE.port), f"fou port {GUE.port}"),
    ],
)
def test_what_goes_missing_is_put_back_and_told(key: RuleKey | FouPortKey, subject: str) -> None:
    """A rule or a port that somebody deleted."""
    host = bench()
    host.check(assigned(VIP4, tunnels=(GUE,)))
    good = everything(host)
    host.put(key, None)
    condition = host.check(assigned(VIP4, tunnels=(GUE,)))
    assert [(subject, Severity.REPAIRED)] == [
        (finding.subject, finding.severity) for finding in condition.findings
    ]
    assert good == everything(host)


# Segment size


def test_the_mss_follows_the_routes() -> None:
    """A device's MTU, a route's, a declared path's, a route's own smaller MSS; and no finding."""
    host = bench()
    default = RouteKey(MAIN_TABLE, EVERYWHERE[4])
    task = assigned(VIP4, tunnels=(IPIP,))
    seen = []
    host.check(task)
    seen.append(advmss(host, 4))
    host.put(LinkKey("eth0"), LinkConfig("", up=True, mtu=9000))
    host.check(task)
    seen.append(advmss(host, 4))
    host.check(replace_mtu(task, 1400))
    seen.append(advmss(host, 4))
    host.put(default, RouteConfig("eth0", GATEWAY4, mtu=1300))
    host.check(task)
    seen.append(advmss(host, 4))
    host.put(default, RouteConfig("eth0", GATEWAY4, advmss=900))
    condition = host.check(task)
    seen.append(advmss(host, 4))
    assert [1440, 8940, 1340, 1240, 900] == seen
    assert () == condition.findings


def replace_mtu(task: Assignments, mtu: int) -> Assignments:
    return Assignments(tuple(replace(farm, mtu=mtu) for farm in task.farms))


def test_a_vanished_route_vanishes() -> None:
    """Our table has no way that the main table no longer has."""
    host = bench()
    host.check(assigned(VIP4, tunnels=(IPIP,)))
    host.put(RouteKey(MAIN_TABLE, EVERYWHERE[4]), None)
    assert (VIP4,) == host.check(assigned(VIP4, tunnels=(IPIP,))).ready
    assert [ip_network("192.0.2.0/24")] == [key.destination for key in ours(host, Family.IPV4)]


def test_a_route_that_cannot_be_copied_leads_back() -> None:
    """It is thrown back to the main table, told, and the VIP is served."""
    host = bench()
    several_hops = RouteConfig("eth0", GATEWAY4, whole=False)
    routes = host.memory.routes

    def with_several_hops(family: Family, table: int = MAIN_TABLE) -> dict[RouteKey, RouteConfig]:
        found = dict(routes(family, table))
        if family is Family.IPV4 and table == MAIN_TABLE:
            found[RouteKey(MAIN_TABLE, EVERYWHERE[4])] = several_hops
        return found

    host.memory.routes = with_several_hops  # type: ignore[method-assign]
    condition = host.check(assigned(VIP4, tunnels=(IPIP,)))
    assert ((VIP4,), ["route 0.0.0.0/0"]) == (
        condition.ready,
        [finding.subject for finding in condition.findings],
    )
    assert "throw" == ours(host, Family.IPV4)[RouteKey(TABLE, EVERYWHERE[4])].type


def test_a_table_of_others_is_left_alone() -> None:
    """Neither routes nor rules are put there; the VIP is served, and the finding says so."""
    host = bench()
    theirs = RouteKey(TABLE, ip_network("203.0.113.0/24"))
    host.put(theirs, RouteConfig("eth0", GATEWAY4))
    condition = host.check(assigned(VIP4, tunnels=(IPIP,)))
    assert ((VIP4,), [f"table {TABLE}"]) == (
        condition.ready,
        [finding.subject for finding in condition.findings],
    )
    assert [theirs] == list(ours(host, Family.IPV4))
    assert {vip_rule(VIP4): None} == host.memory.observe([vip_rule(VIP4)])
    host.put(theirs, None)
    assert () == host.check(assigned(VIP4, tunnels=(IPIP,))).findings
    assert {vip_rule(VIP4): RuleConfig()} == host.memory.observe([vip_rule(VIP4)])


def test_a_full_routing_table_is_not_copied() -> None:
    """A router's table would be copied at every change."""
    host = bench()
    for number in range(MAX_ROUTES):
        destination = ip_network(f"10.{number // 256}.{number % 256}.0/24")
        host.put(RouteKey(MAIN_TABLE, destination), RouteConfig("eth0", GATEWAY4))
    condition = host.check(assigned(VIP4, tunnels=(IPIP,)))
    assert (VIP4,) == condition.ready
    assert f"{MAX_ROUTES + 2} routes" in condition.findings[0].detail
    assert {} == ours(host, Family.IPV4)


def test_ipv6_that_is_off_is_told() -> None:
    """An IPv4 VIP is served beside it."""
    switch = SysctlKey(("net", "ipv6", "conf", "sit0", "disable_ipv6"))
    host = bench(memory=MemoryHost([Hardware("eth0")], sysctls={switch: "1"}))
    condition = host.check(assigned(VIP4, VIP6, tunnels=(IPIP,)))
    assert ((VIP4,), (IPIP,)) == (condition.ready, condition.tunnels)
    assert [str(switch)] == [finding.subject for finding in condition.findings]
