"""Whether what a probe through the tunnel found says anything about its real server. Pure.

Much on the director itself makes all servers seem to fail, or to pass: a mark without its virtual
service, a parameter that lets no answer in, a VIP or route that is gone. What holds before and
after a probe is compared with what it needs; where that is missing, its result does not count.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lvsctl.health.marks import ProbeMark, TunnelPath, mark_table
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    HostState,
    RouteConfig,
    RouteKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.ipvs.table import IpvsTable
from lvsctl.net import Family, IPAddress, IPNetwork, family_of

LOCAL_TABLE = 255
"""The routing table of the kernel's own addresses."""

REUSE_MODE = SysctlKey(("net", "ipv4", "vs", "conn_reuse_mode"))
"""With 1 a probe that comes from the port of an old one is a new connection."""


@dataclass(frozen=True, slots=True)
class Egress:
    """How the director reaches a real server.

    Attributes:
        link: Device by which packets leave, and answers come in.
        source: The director's own address of the VIP's family there (DIP).
    """

    link: str
    source: IPAddress


@dataclass(frozen=True, slots=True)
class PreparedPath:
    """What a probe along a path is sent with.

    Attributes:
        mark: Firewall mark and source port.
        way: Device and source address.
    """

    mark: ProbeMark
    way: Egress


PreparedPaths = Mapping[TunnelPath, PreparedPath]
"""What probes through the tunnel are sent with, by where they go."""


@dataclass(frozen=True)
class PathFacts:
    """What one look at the director has found; many probes are compared with it.

    Attributes:
        services: The virtual services of marks.
        addresses: Of every device, each device's oldest first.
        routes: Of the main table and of :data:`LOCAL_TABLE`.
        sysctls: The values of :func:`path_sysctls`.
        vips: All VIPs of the farm.
        elsewhere: Those of them that need not be on this director: probes reach the real servers
            all the same.
    """

    services: IpvsTable
    addresses: Mapping[AddressKey, AddressConfig]
    routes: Mapping[RouteKey, RouteConfig]
    sysctls: HostState
    vips: frozenset[IPAddress]
    elsewhere: frozenset[IPAddress] = frozenset()

    @cached_property
    def links_of(self) -> Mapping[IPAddress, frozenset[str]]:
        """The devices that have an address."""
        found: dict[IPAddress, set[str]] = {}
        for key in self.addresses:
            found.setdefault(key.address.ip, set()).add(key.link)
        return {address: frozenset(links) for address, links in found.items()}

    @cached_property
    def sources(self) -> Mapping[Family, Sequence[Egress]]:
        """Addresses of this director's own that packets can be sent from, each device's in order.

        A VIP is none: a real server has it too, and would answer itself.
        """
        found: dict[Family, list[Egress]] = {family: [] for family in Family}
        for key, config in self.addresses.items():
            address = key.address.ip
            unfit = config.deprecated or address.is_link_local or address.is_loopback
            if not unfit and address not in self.vips:
                found[family_of(address)].append(Egress(key.link, address))
        return found

    @cached_property
    def local_networks(self) -> Sequence[IPNetwork]:
        """What is local by a route and not only for an address."""
        return [
            key.destination
            for key, config in self.routes.items()
            if config.type == "local"
            and (
                key.destination.num_addresses > 1
                or key.destination.network_address not in self.links_of
            )
        ]

    @cached_property
    def unicast_keys(self) -> Sequence[RouteKey]:
        """Routes to others, the best first: the narrowest, of equals that of the lowest metric."""
        return sorted(
            (key for key in self.routes if key.table != LOCAL_TABLE),
            key=lambda key: (-key.destination.prefixlen, key.metric),
        )

    @cached_property
    def _routes_found(self) -> dict[IPAddress, RouteConfig | None]:
        return {}

    def route_to(self, server: IPAddress) -> RouteConfig | None:
        """Return the route to a server; None where there is none, or a dead end."""
        if server not in self._routes_found:
            best = next((key for key in self.unicast_keys if server in key.destination), None)
            found = self.routes[best] if best else None
            usable = found is not None and found.type == "unicast"
            self._routes_found[server] = found if usable else None
        return self._routes_found[server]

    def is_local(self, address: IPAddress) -> bool:
        """Say whether packets for an address are for this director."""
        return address in self.links_of or any(
            address in network for network in self.local_networks
        )


@dataclass(frozen=True, slots=True)
class TunnelProbe:
    """A probe through the tunnel.

    Attributes:
        path: Where it goes.
        mark: What it carries.
        vip: Whom it asks.
        way: The device and source that it was given.
    """

    path: TunnelPath
    mark: ProbeMark
    vip: IPAddress
    way: Egress


def way_to(path: TunnelPath, facts: PathFacts) -> Egress | None:
    """Return how the director reaches a server; None where it does not."""
    route = facts.route_to(path.server)
    if route is None or route.link is None:
        return None
    link = route.link
    preferred = route.source
    if preferred and family_of(preferred) is path.family and preferred not in facts.vips:
        return Egress(link, preferred)
    own = facts.sources[path.family]
    nearest = next((way for way in own if way.link == link), own[0] if own else None)
    return Egress(link, nearest.source) if nearest else None


def path_sysctls(links: Collection[str]) -> Collection[SysctlKey]:
    """Return the parameters that decide what becomes of answers from these devices."""
    return [
        REUSE_MODE,
        *(
            _of_link(link, name)
            for link in sorted({"all", *links})
            for name in ("accept_local", "rp_filter")
        ),
    ]


def accept_local(link: str) -> SysctlKey:
    """Return the parameter that lets in packets from a VIP, which is an address of the director."""
    return _of_link(link, "accept_local")


def _of_link(link: str, name: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", link, name))


def path_problem(probe: TunnelProbe, *looks: PathFacts) -> str:
    """Return why the result of a probe counts for nothing; empty where it counts.

    Args:
        probe: What was sent.
        looks: What was found before and after it.
    """
    return next((why for facts in looks for why in _problems(probe, facts)), "")


def _problems(probe: TunnelProbe, facts: PathFacts) -> Iterator[str]:
    ((key, wanted),) = mark_table({probe.path: probe.mark}).items()
    found = facts.services.get(key)
    if found is None:
        yield (
            f"{key} has no virtual service, so that any server could answer; the director adds it "
            "again within 5 s. ipvsadm -C deletes it, and so does a restore of another table"
        )
    elif found != wanted:
        yield (
            f"{key} does not lead to {probe.path} alone, with weight 1; the director mends that "
            "within 5 s"
        )
    if not facts.is_local(probe.vip) and probe.vip not in facts.elsewhere:
        yield f"{probe.vip} is not on this director; lvsctl plan show says why"
    if probe.way.source not in facts.links_of:
        yield f"{probe.way.source}, from which it is sent, is no address of this director any more"
    route = facts.route_to(probe.path.server)
    if route is None:
        yield f"this director has no route to {probe.path.server}: ip route get {probe.path.server}"
    elif route.link != probe.way.link:
        yield f"{probe.path.server} is no longer reached by {probe.way.link} but by {route.link}"
    yield from _closed_doors(probe, facts)


def _closed_doors(probe: TunnelProbe, facts: PathFacts) -> Iterator[str]:
    """Yield what keeps answers out, or would swallow the next probe."""
    reuse_mode = _value(REUSE_MODE, facts)
    if reuse_mode != 1:
        yield f"{REUSE_MODE} is {reuse_mode}, so that old connections swallow probes; it must be 1"
    if probe.path.family is Family.IPV6:
        return
    link = probe.way.link
    if not max(_value(_of_link(each, "accept_local"), facts) for each in ("all", link)):
        yield (
            f"{accept_local(link)} is 0, so that no answer from {probe.vip} is let in; the "
            "director sets it to 1 within 5 s"
        )
    # The kernel takes the greater of both values (ip-sysctl.rst).
    strict = max(_value(_of_link(each, "rp_filter"), facts) for each in ("all", link)) == 1
    if strict and link not in facts.links_of.get(probe.vip, ()):
        yield (
            f"rp_filter is 1 on {link}, so that no answer from {probe.vip} is let in: "
            f"sysctl -w {_of_link(link, 'rp_filter')}=2"
        )


def _value(key: SysctlKey, facts: PathFacts) -> int:
    config = facts.sysctls.get(key)
    return int(config.value) if isinstance(config, SysctlConfig) else 0
