"""Facts of healthy hosts, of which each test changes one."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

from lvsctl.agent.devices import ServingSpec
from lvsctl.doctor.facts import (
    Counters,
    Director,
    Facts,
    Modules,
    ProbeResult,
    RealServer,
    Route,
    RouteQuery,
    TunnelPath,
)
from lvsctl.host.interface import (
    AddressKey,
    Config,
    FouPortConfig,
    FouPortKey,
    HostKey,
    LinkConfig,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.ipvs.table import AddressKey as ServiceKey
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IpProtocol

VIP, RIP, DIP = map(IPv4Address, ("198.51.100.10", "192.0.2.11", "192.0.2.10"))
ANYWHERE = IPv4Address("198.18.0.1")
IPIP, GRE, GUE = Tunnel("ipip"), Tunnel("gre"), Tunnel("gue", 6080)
PATH = TunnelPath(VIP, RIP, Encapsulation())
GUE_PATH = TunnelPath(VIP, RIP, Encapsulation(TunnelType.GUE, 6080))
FOU_PORT = FouPortKey(Family.IPV4, 6080)
COUNTERS = Counters(
    {"TcpExt IPReversePathFilter": 7, "Ip6 Ip6InAddrErrors": 0},
    {
        "eth0": {"receive errors": 3, "receive drops": 9},
        "tunl0": {"receive errors": 0, "receive drops": 0},
    },
)
ALL_MODULES = frozenset({"ip_vs", "ip_vs_rr", "ipip", "ip_gre", "fou"})


def conf(device: str, name: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", device, name))


def address(text: str, link: str) -> AddressKey:
    return AddressKey(link, ip_interface(text))


def sysctls(values: Mapping[str, Mapping[str, int]]) -> dict[HostKey, Config | None]:
    return {
        conf(device, name): SysctlConfig(str(value))
        for device, named in values.items()
        for name, value in named.items()
    }


QUIET = {"arp_ignore": 0, "arp_announce": 0, "rp_filter": 0}

REAL_SERVER = Facts(
    host="rs1",
    modules=Modules("6.1", ALL_MODULES, ALL_MODULES),
    real_server=RealServer(ServingSpec((VIP,), (IPIP, GRE, GUE), RIP), (DIP,), agent_runs=True),
    links=("lo", "eth0", "tunl0", "gre0"),
    addresses=(address("192.0.2.11/24", "eth0"), address("198.51.100.10/32", "tunl0")),
    state={
        **sysctls(
            {
                "all": {"arp_ignore": 1, "arp_announce": 2, "rp_filter": 0},
                **dict.fromkeys(("lo", "tunl0", "gre0"), QUIET),
                "eth0": {**QUIET, "rp_filter": 1},
            }
        ),
        LinkKey("lo"): LinkConfig("", up=True, mtu=65536),
        LinkKey("eth0"): LinkConfig("", up=True, mtu=1500),
        LinkKey("tunl0"): LinkConfig("ipip", up=True, mtu=1480),
        LinkKey("gre0"): LinkConfig("gre", up=True, mtu=1476),
        FOU_PORT: FouPortConfig(),
    },
    routes={
        RouteQuery(DIP): Route("eth0", RIP, None, 1500),
        RouteQuery(ANYWHERE, VIP): Route("eth0", VIP, IPv4Address("192.0.2.1"), 1500),
    },
    probed={DIP: ProbeResult(answered=True, asked=1500, passed=1500)},
    before=COUNTERS,
    after=COUNTERS,
)

_TABLE = {
    ServiceKey(IpProtocol.TCP, VIP, 80): VirtualService(
        VirtualServiceConfig("rr"), {DestinationKey(RIP, 80): DestinationConfig(100)}
    )
}

DIRECTOR = Facts(
    host="lb1",
    modules=Modules("6.1", ALL_MODULES, ALL_MODULES),
    director=Director(_TABLE, daemon_runs=True, api=""),
    links=("lo", "eth0", "lvs0"),
    addresses=(address("192.0.2.10/24", "eth0"), address("198.51.100.10/32", "lvs0")),
    state={
        **sysctls(dict.fromkeys(("all", "lo", "eth0", "lvs0"), QUIET)),
        LinkKey("lo"): LinkConfig("", up=True, mtu=65536),
        LinkKey("eth0"): LinkConfig("", up=True, mtu=1500),
        LinkKey("lvs0"): LinkConfig("dummy", up=True, mtu=1500),
        SysctlKey(("net", "ipv4", "vs", "expire_nodest_conn")): SysctlConfig("1"),
    },
    routes={RouteQuery(RIP): Route("eth0", DIP, None, 1500)},
    probed={PATH: ProbeResult(answered=True, asked=1500, passed=1500)},
    before=COUNTERS,
    after=COUNTERS,
)


def with_state(facts: Facts, changes: Mapping[HostKey, Config | None]) -> Facts:
    return replace(facts, state={**facts.state, **changes})


def with_sysctl(facts: Facts, device: str, name: str, value: int) -> Facts:
    return with_state(facts, {conf(device, name): SysctlConfig(str(value))})


def with_link(facts: Facts, name: str, config: LinkConfig | None) -> Facts:
    return with_state(facts, {LinkKey(name): config})
