"""Decides whether the result of a probe through the tunnel counts. Pure.

Faults on the director itself can make every server seem to fail, or to pass: a missing virtual
service for a mark, a sysctl that drops the answers, a missing VIP or route. The director's state
before and after a probe is compared with what the probe needs; if anything is missing, its result
does not count.
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
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import Reason

LOCAL_TABLE = 255
"""The routing table of the kernel's own addresses."""

REUSE_MODE = SysctlKey(("net", "ipv4", "vs", "conn_reuse_mode"))
"""1: a probe that reuses the port of an earlier one is a new connection."""


@dataclass(frozen=True, slots=True)
class Egress:
    """How the director reaches a real server.

    Attributes:
        link: Device that packets leave by, and answers arrive on.
        source: The director's address in the VIP's family (DIP).
    """

    link: str
    source: IPAddress


@dataclass(frozen=True, slots=True)
class PreparedPath:
    """How a probe along a path is sent.

    Attributes:
        mark: Firewall mark and source port.
        egress: Device and source address.
    """

    mark: ProbeMark
    egress: Egress


PreparedPaths = Mapping[TunnelPath, PreparedPath]
"""How probes are sent, by path."""


@dataclass(frozen=True)
class PathFacts:
    """One observation of the director, shared by many probes.

    Attributes:
        services: The firewall-mark services.
        addresses: Of every device, in the order they were added.
        routes: Of the main table and :data:`LOCAL_TABLE`.
        sysctls: The values of :func:`path_sysctls`.
        vips: All VIPs of the farm.
        elsewhere: VIPs that need not be on this director, since they are withdrawn or managed
            externally; their real servers can still be probed.
    """

    services: IpvsTable
    addresses: Mapping[AddressKey, AddressConfig]
    routes: Mapping[RouteKey, RouteConfig]
    sysctls: HostState
    vips: frozenset[IPAddress]
    elsewhere: frozenset[IPAddress] = frozenset()

    @cached_property
    def links_of(self) -> Mapping[IPAddress, frozenset[str]]:
        """Devices by address."""
        found: dict[IPAddress, set[str]] = {}
        for key in self.addresses:
            found.setdefault(key.address.ip, set()).add(key.link)
        return {address: frozenset(links) for address, links in found.items()}

    @cached_property
    def sources(self) -> Mapping[Family, Sequence[Egress]]:
        """Addresses of this director that probes can be sent from.

        VIPs are excluded: the real server has them too and would answer itself.
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
        """Networks that are local because of a route rather than an address."""
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
        """Routes to other hosts, best first: longest prefix, then lowest metric."""
        return sorted(
            (key for key in self.routes if key.table != LOCAL_TABLE),
            key=lambda key: (-key.destination.prefixlen, key.metric),
        )

    @cached_property
    def _routes_found(self) -> dict[IPAddress, RouteConfig | None]:
        return {}

    def route_to(self, server: IPAddress) -> RouteConfig | None:
        """Return the route to a server; None if there is none, or it is not unicast."""
        if server not in self._routes_found:
            best = next((key for key in self.unicast_keys if server in key.destination), None)
            found = self.routes[best] if best else None
            usable = found is not None and found.type == "unicast"
            self._routes_found[server] = found if usable else None
        return self._routes_found[server]

    def is_local(self, address: IPAddress) -> bool:
        """Tell whether this director accepts packets for an address."""
        return address in self.links_of or any(
            address in network for network in self.local_networks
        )


@dataclass(frozen=True, slots=True)
class TunnelProbe:
    """A probe through the tunnel.

    Attributes:
        path: Tunnel that it takes.
        mark: Mark and source port of its packets.
        vip: Destination address.
        egress: Device and source address.
    """

    path: TunnelPath
    mark: ProbeMark
    vip: IPAddress
    egress: Egress


def egress_to(path: TunnelPath, facts: PathFacts) -> Egress | None:
    """Return how the director reaches a server; None if it cannot."""
    route = facts.route_to(path.server)
    if route is None or route.link is None:
        return None
    link = route.link
    preferred = route.source
    if preferred and family_of(preferred) is path.family and preferred not in facts.vips:
        return Egress(link, preferred)
    own = facts.sources[path.family]
    nearest = next((each for each in own if each.link == link), own[0] if own else None)
    return Egress(link, nearest.source) if nearest else None


def path_sysctls(links: Collection[str]) -> Collection[SysctlKey]:
    """Return the sysctls that decide whether answers arriving on these devices are accepted."""
    return [
        REUSE_MODE,
        *(
            _of_link(link, name)
            for link in sorted({"all", *links})
            for name in ("accept_local", "rp_filter")
        ),
    ]


def accept_local(link: str) -> SysctlKey:
    """Return the sysctl that accepts packets from a VIP, which is also the director's address."""
    return _of_link(link, "accept_local")


def _of_link(link: str, name: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", link, name))


def path_problem(probe: TunnelProbe, *observations: PathFacts) -> Reason | None:
    """Return why the result of a probe does not count; None if it counts.

    Args:
        probe: The probe.
        observations: Made before and after it.
    """
    return next((why for facts in observations for why in _problems(probe, facts)), None)


def _problems(probe: TunnelProbe, facts: PathFacts) -> Iterator[Reason]:
    ((key, wanted),) = mark_table({probe.path: probe.mark}).items()
    found = facts.services.get(key)
    if found is None:
        yield reasons.NO_PROBE_SERVICE(key)
    elif found != wanted:
        yield reasons.PROBE_SERVICE_DIFFERS(key, path=probe.path)
    if not facts.is_local(probe.vip) and probe.vip not in facts.elsewhere:
        yield reasons.PROBE_VIP_ABSENT(probe.vip)
    if probe.egress.source not in facts.links_of:
        yield reasons.SOURCE_GONE(probe.egress.source)
    route = facts.route_to(probe.path.server)
    if route is None:
        yield reasons.NO_ROUTE(probe.path.server)
    elif route.link != probe.egress.link:
        yield reasons.ROUTE_MOVED(probe.path.server, link=route.link, before=probe.egress.link)
    yield from _sysctl_problems(probe, facts)


def _sysctl_problems(probe: TunnelProbe, facts: PathFacts) -> Iterator[Reason]:
    """Yield sysctls that drop the answers, or let an old connection capture the next probe."""
    reuse_mode = _value(REUSE_MODE, facts)
    if reuse_mode != 1:
        yield reasons.REUSE_MODE(REUSE_MODE, value=reuse_mode)
    if probe.path.family is Family.IPV6:
        return
    link = probe.egress.link
    if not max(_value(_of_link(each, "accept_local"), facts) for each in ("all", link)):
        yield reasons.ACCEPT_LOCAL_OFF(accept_local(link), vip=probe.vip)
    # The kernel uses the maximum of "all" and the device (ip-sysctl.rst).
    strict = max(_value(_of_link(each, "rp_filter"), facts) for each in ("all", link)) == 1
    if strict and link not in facts.links_of.get(probe.vip, ()):
        yield reasons.STRICT_RP_FILTER(_of_link(link, "rp_filter"), link=link, vip=probe.vip)


def _value(key: SysctlKey, facts: PathFacts) -> int:
    config = facts.sysctls.get(key)
    return int(config.value) if isinstance(config, SysctlConfig) else 0
