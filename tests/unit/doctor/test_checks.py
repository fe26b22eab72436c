"""Each check: silent on a healthy host, and the only one to report its problem."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsctl.agent.devices import ServingSpec
from lvsctl.doctor.checks import CHECKS, judge
from lvsctl.doctor.facts import (
    Arrival,
    Counters,
    Director,
    Facts,
    IcmpError,
    Modules,
    NoRoute,
    ProbeResult,
    RealServer,
    RouteQuery,
    SysctlSetting,
)
from lvsctl.doctor.iptables import parse_iptables
from lvsctl.host.interface import FouPortConfig, LinkConfig, LinkKey, SysctlConfig, SysctlKey
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family
from tests.unit.doctor.hosts import (
    ALL_MODULES,
    ANYWHERE,
    COUNTERS,
    DIP,
    DIRECTOR,
    FOU_PORT,
    GUE_PATH,
    PATH,
    REAL_SERVER,
    RIP,
    VIP,
    address,
    with_link,
    with_state,
    with_sysctl,
)


def firewall(facts: Facts, rule: str, policy: str = "ACCEPT") -> Facts:
    text = f"*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n-A {rule}\nCOMMIT\n"
    return replace(facts, tables=parse_iptables(text, Family.IPV4))


def modules(facts: Facts, missing: str, *, installed: bool = True) -> Facts:
    there = ALL_MODULES - {missing}
    return replace(facts, modules=Modules("6.1", there, ALL_MODULES if installed else there))


def director(**changes: object) -> Facts:
    assert DIRECTOR.director is not None
    return replace(DIRECTOR, director=replace(DIRECTOR.director, **changes))  # type: ignore[arg-type]


def real_server(**changes: object) -> Facts:
    assert REAL_SERVER.real_server is not None
    return replace(REAL_SERVER, real_server=replace(REAL_SERVER.real_server, **changes))  # type: ignore[arg-type]


def rise(facts: Facts, name: str) -> Facts:
    return replace(facts, after=Counters({**COUNTERS.values, name: 9}, COUNTERS.devices))


def device_rise(device: str, what: str) -> Facts:
    devices = {**COUNTERS.devices, device: {**COUNTERS.devices[device], what: 10}}
    return replace(REAL_SERVER, after=Counters(COUNTERS.values, devices))


def arrival(tunnel: Tunnel) -> Facts:
    return replace(REAL_SERVER, arrivals=frozenset({Arrival(tunnel, DIP, RIP, VIP)}))


def probed(what: object, result: ProbeResult, facts: Facts) -> Facts:
    return replace(facts, probed={what: result})  # type: ignore[dict-item]


def vip_as(text: str | None, link: str = "tunl0", facts: Facts = REAL_SERVER) -> Facts:
    added = () if text is None else (address(text, link),)
    return replace(facts, addresses=(facts.addresses[0], *added))


NARROW_PATH = ProbeResult(answered=True, asked=1500, passed=1400)
REPORTED_PATH = replace(
    NARROW_PATH, too_big=(IcmpError(IPv4Address("192.0.2.1"), "too big", 1400),)
)
PATH6 = replace(PATH, rip=IPv6Address("2001:db8:2::11"))
GUE_REFUSED = ProbeResult(answered=False, icmp_errors=(IcmpError(RIP, "port unreachable"),))

BROKEN: dict[str, tuple[str, Facts, str, str]] = {
    "agent stopped": ("agent", real_server(agent_runs=False), "does not run", "systemctl start"),
    "daemon stopped": ("director", director(daemon_runs=False), "does not run", "systemctl start"),
    "API not ready": ("director", director(api="503"), "not ready: 503", "journalctl"),
    "ip_gre absent": (
        "real-server-modules",
        modules(REAL_SERVER, "ip_gre"),
        "ip_gre is not",
        "modprobe ip_gre",
    ),
    "fou not installed": (
        "real-server-modules",
        modules(REAL_SERVER, "fou", installed=False),
        "kernel 6.1 has no module fou",
        "install",
    ),
    "scheduler absent": (
        "director-modules",
        modules(DIRECTOR, "ip_vs_rr"),
        "ip_vs_rr is not",
        "modprobe ip_vs_rr",
    ),
    "gre0 down": (
        "tunnel-device",
        with_link(REAL_SERVER, "gre0", LinkConfig("gre", up=False)),
        "gre0 is down",
        "ip link set gre0 up",
    ),
    "gre0 gone": (
        "tunnel-device",
        with_link(REAL_SERVER, "gre0", None),
        "no device takes packets in tunnel gre (IPv4 in IPv4)",
        "modprobe ip_gre && ip link set gre0 up",
    ),
    "gre link for another address": (
        "tunnel-device",
        with_state(
            REAL_SERVER,
            {LinkKey("gre0"): None, LinkKey("g1"): LinkConfig("gre", up=True, local=DIP)},
        ),
        "g1 has local 192.0.2.10, and the tunnel ends at 192.0.2.11",
        "gre0 up",
    ),
    "gue port closed": (
        "fou-port",
        with_state(REAL_SERVER, {FOU_PORT: None}),
        "UDP port 6080 is not open",
        "ip fou add port 6080 gue",
    ),
    "plain fou": (
        "fou-port",
        with_state(REAL_SERVER, {FOU_PORT: FouPortConfig(gue=False, protocol=4)}),
        "unwraps plain fou",
        "ip fou del port 6080 && ip fou add port 6080 gue",
    ),
    "VIP missing": (
        "vip-on-real-server",
        vip_as(None),
        "on no device",
        f"ip address add {VIP}/32 dev tunl0",
    ),
    "VIP/24": ("vip-prefix", vip_as(f"{VIP}/24"), "network around it", f"del {VIP}/24 dev tunl0"),
    "VIP missing at the director": (
        "vip-on-director",
        vip_as(None, facts=DIRECTOR),
        "on no device",
        "dev lvs0",
    ),
    "VIP/24 at the director": (
        "vip-prefix",
        vip_as(f"{VIP}/24", "eth0", DIRECTOR),
        "network around it",
        f"add {VIP}/32",
    ),
    "rp_filter by all": (
        "rp-filter",
        with_sysctl(REAL_SERVER, "all", "rp_filter", 1),
        "rp_filter on tunl0 is 1 through net.ipv4.conf.all.rp_filter, which no file",
        "tunl0.rp_filter=0 net.ipv4.conf.gre0.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
    ),
    "rp_filter of tunl0 by a file": (
        "rp-filter",
        replace(
            with_sysctl(REAL_SERVER, "tunl0", "rp_filter", 2),
            settings=(
                SysctlSetting(
                    "/etc/sysctl.d/9.conf", ("net", "ipv4", "conf", "*", "rp_filter"), "2"
                ),
            ),
        ),
        "through net.ipv4.conf.tunl0.rp_filter, which /etc/sysctl.d/9.conf sets to 2",
        "and the same in /etc/sysctl.d/9.conf",
    ),
    "arp_announce 0": (
        "arp",
        with_sysctl(REAL_SERVER, "all", "arp_announce", 0),
        "arp_announce on eth0 is 0",
        "sysctl -w net.ipv4.conf.all.arp_announce=2",
    ),
    "arp_ignore of eth0 is 3": (
        "arp",
        with_sysctl(REAL_SERVER, "eth0", "arp_ignore", 3),
        "arp_ignore on eth0 is 3 through net.ipv4.conf.eth0.arp_ignore",
        "sysctl -w net.ipv4.conf.eth0.arp_ignore=1",
    ),
    "the director is silent": (
        "director-arp",
        with_sysctl(DIRECTOR, "all", "arp_ignore", 1),
        "arp_ignore on eth0 is 1",
        "sysctl -w net.ipv4.conf.all.arp_ignore=0",
    ),
    "IPVS parameter without a daemon": (
        "ipvs-sysctls",
        with_state(
            director(daemon_runs=None),
            {SysctlKey(("net", "ipv4", "vs", "expire_nodest_conn")): SysctlConfig("0")},
        ),
        "expire_nodest_conn is 0",
        "sysctl -w net.ipv4.vs.expire_nodest_conn=1",
    ),
    "firewall at the server": (
        "firewall-in",
        firewall(REAL_SERVER, "INPUT -p ipencap -j DROP"),
        "drops protocol 4: iptables filter INPUT: -p ipencap -j DROP",
        "iptables -t filter -D INPUT -p ipencap -j DROP",
    ),
    "gue's port closed by policy": (
        "firewall-in",
        firewall(REAL_SERVER, "INPUT ! -p 17 -j ACCEPT", policy="DROP"),
        "the policy is drop",
        "iptables -t filter -I INPUT -p 17 -j ACCEPT",
    ),
    "firewall at the director": (
        "firewall-out",
        firewall(DIRECTOR, "OUTPUT -d 192.0.2.0/24 -p 4 -j REJECT"),
        "drops protocol 4",
        "iptables -t filter -D OUTPUT",
    ),
    "no route to the RIP": (
        "route-to-real-server",
        replace(DIRECTOR, routes={RouteQuery(RIP): NoRoute("unreachable")}, probed={}),
        "no route to the real server 192.0.2.11: unreachable",
        "ip route add 192.0.2.11/32",
    ),
    "no default route": (
        "route-to-client",
        replace(REAL_SERVER, routes={RouteQuery(ANYWHERE, VIP): NoRoute("unreachable")}),
        "no default route",
        "ip route add default",
    ),
    "no route to a named client": (
        "route-to-client",
        replace(
            REAL_SERVER,
            routes={RouteQuery(ANYWHERE, VIP): NoRoute("unreachable")},
            clients=(ANYWHERE,),
        ),
        "to the client 198.18.0.1",
        "ip route add 198.18.0.1",
    ),
    "no route to the director": (
        "route-to-director",
        replace(REAL_SERVER, routes={RouteQuery(DIP): NoRoute("unreachable")}),
        "no route to the director",
        "ip route add 192.0.2.10",
    ),
    "duplicate VIP": (
        "foreign-vip",
        replace(DIRECTOR, owners={VIP: "02:00:00:00:00:07 on eth0"}),
        "02:00:00:00:00:07 on eth0",
        "arp_ignore=1",
    ),
    "no answer": (
        "through-tunnel",
        probed(PATH, ProbeResult(answered=False), DIRECTOR),
        "no answer to pings through the tunnel",
        "lvsctl doctor on 192.0.2.11",
    ),
    "gue refused": (
        "through-tunnel",
        probed(GUE_PATH, GUE_REFUSED, DIRECTOR),
        "refused by 192.0.2.11: port unreachable",
        "ip fou add port 6080 gue",
    ),
    "1400 bytes in silence": (
        "path-mtu",
        probed(PATH, NARROW_PATH, DIRECTOR),
        "packets of 1400 bytes",
        "tunnel.mtu: 1400",
    ),
    "1400 bytes, and nobody heeds ICMPv6": (
        "path-mtu",
        probed(PATH6, REPORTED_PATH, director(daemon_runs=None)),
        "does not heed the ICMPv6",
        "ip route add 2001:db8:2::11 via GATEWAY mtu 1400",
    ),
    "1400 bytes back in silence": (
        "path-mtu-to-director",
        probed(DIP, NARROW_PATH, REAL_SERVER),
        "packets of 1400 bytes",
        "tunnel.mtu: 1400",
    ),
    "rp_filter drops now": (
        "drops",
        rise(REAL_SERVER, "TcpExt IPReversePathFilter"),
        "rose by 2 while doctor looked, to 9 since boot",
        "rp_filter",
    ),
    "errors of eth0": (
        "device-errors",
        device_rise("eth0", "receive errors"),
        "rose by 7",
        "ip -s",
    ),
    "drops of tunl0": ("device-errors", device_rise("tunl0", "receive drops"), "by 10", "ip -s"),
    "another gue port": (
        "wrong-tunnel",
        arrival(Tunnel("gue", 5555)),
        "over gue port 5555, this host is to accept ipip, gre, gue port 6080",
        "on the director 192.0.2.10",
    ),
    "gre with checksum": (
        "wrong-tunnel",
        arrival(Tunnel("gre", checksum=True)),
        "gre with checksum",
        "lvsctl plan",
    ),
}

WELL: dict[str, Facts] = {
    "a real server": REAL_SERVER,
    "a director": DIRECTOR,
    "a real server without an agent": real_server(agent_runs=None, directors=()),
    "a real server with the VIP on lo": vip_as(f"{VIP}/32", "lo"),
    "arp_ignore 2 on the device alone": with_sysctl(REAL_SERVER, "all", "arp_ignore", 2),
    "the assigned tunnels arrive": arrival(Tunnel("gue", 6080)),
    "a foreign drop rule": firewall(REAL_SERVER, "INPUT -s 203.0.113.0/24 -p ipencap -j DROP"),
    "a rule that is not understood": firewall(
        REAL_SERVER, "INPUT -m set --match-set ok src -j ACCEPT", policy="DROP"
    ),
    "1400 bytes, and ICMP says so": probed(PATH, REPORTED_PATH, DIRECTOR),
    "1400 bytes, and the director heeds ICMPv6": probed(PATH6, REPORTED_PATH, DIRECTOR),
    "1400 bytes, and the pool says so": probed(PATH, NARROW_PATH, director(path_mtus={RIP: 1400})),
    "1400 bytes back, and the pool says so": probed(DIP, NARROW_PATH, real_server(path_mtu=1400)),
    "the director answers no pings": probed(DIP, ProbeResult(answered=False), REAL_SERVER),
    "drops of eth0": device_rise("eth0", "receive drops"),
    "tunl0 only receives": device_rise("tunl0", "transmit errors"),
    "nothing assigned yet": replace(
        REAL_SERVER, real_server=RealServer(ServingSpec((), (), RIP), (DIP,), agent_runs=True)
    ),
    "an empty table": replace(DIRECTOR, director=Director({}), probed={}, routes={}),
}


@pytest.mark.parametrize("facts", WELL.values(), ids=WELL)
def test_a_healthy_host_has_no_findings(facts: Facts) -> None:
    """From any check."""
    assert [] == judge(facts)


@pytest.mark.parametrize(("check", "facts", "what", "cure"), BROKEN.values(), ids=BROKEN)
def test_a_problem_is_found_by_its_check_alone(
    check: str, facts: Facts, what: str, cure: str
) -> None:
    """Once, with what was observed and the command that fixes it."""
    found = judge(facts)
    assert [check] == [name for name, _ in found]
    finding = found[0][1]
    assert what in finding.what
    assert cure in finding.cure
    assert finding.why


def test_every_check_is_tested() -> None:
    """There is a problem for each check."""
    assert set(CHECKS) == {check for check, *_ in BROKEN.values()}


NEEDS: tuple[tuple[Tunnel, object, object, str, LinkConfig], ...] = (
    (Tunnel("ipip"), VIP, RIP, "tunl0", LinkConfig("ipip", up=True)),
    (Tunnel("ipip"), VIP, RIP, "own", LinkConfig("ipip", up=True, local=RIP)),
    (Tunnel("gre", checksum=True), VIP, RIP, "own", LinkConfig("gre", up=True, checksum=True)),
    (Tunnel("ipip"), IPv6Address("2001:db8::1"), RIP, "sit0", LinkConfig("sit", up=True)),
    (
        Tunnel("ipip"),
        IPv6Address("2001:db8::1"),
        IPv6Address("2001:db8::2"),
        "ip6tnl0",
        LinkConfig("ip6tnl", up=True),
    ),
    (
        Tunnel("ipip"),
        VIP,
        IPv6Address("2001:db8::2"),
        "own",
        LinkConfig("ip6tnl", up=True, any_protocol=True),
    ),
    (
        Tunnel("gre"),
        VIP,
        IPv6Address("2001:db8::2"),
        "ip6gre0",
        LinkConfig("ip6gre", up=True),
    ),
)


def _device_checked(tunnel: Tunnel, vip: object, rip: object, state: dict[str, LinkConfig]) -> bool:
    modules_ = Modules("6.1", frozenset({"ipip", "sit", "ip_gre", "ip6_gre", "ip6_tunnel"}))
    facts = Facts(
        "rs1",
        modules_,
        RealServer(ServingSpec((vip,), (tunnel,), rip)),  # type: ignore[arg-type]
        state={LinkKey(name): config for name, config in state.items()},
    )
    return not list(CHECKS["tunnel-device"](facts))


@pytest.mark.parametrize(("tunnel", "vip", "rip", "name", "config"), NEEDS)
def test_each_tunnel_requires_its_device(
    tunnel: Tunnel, vip: object, rip: object, name: str, config: LinkConfig
) -> None:
    """The device that the kernel accepts its packets on, and no other kind."""
    assert _device_checked(tunnel, vip, rip, {name: config})
    assert not _device_checked(tunnel, vip, rip, {name: replace(config, up=False)})
    for *_, other_name, other in NEEDS:
        if other.kind != config.kind:
            assert not _device_checked(tunnel, vip, rip, {other_name: other})
