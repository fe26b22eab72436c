"""Routes that let TCP announce segments which fit into the tunnel. Pure.

A client's packets come through the tunnel, so they must leave room for its header. Where ICMP is
filtered the client never learns that; but a real server can announce a smaller MSS from the start.
It announces the ``advmss`` of the route to the client, which must apply to the VIPs only: a rule
for each VIP selects a table of lvsctl's, a copy of the main table's routes with ``advmss`` added.
Replies take the same path as without lvsctl:

- the rule comes right before the main table's, so that every other rule is obeyed first;
- a route that cannot be copied becomes ``throw``, which falls back to the main table.

The routes are added before their rule and removed after it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from types import MappingProxyType

from lvsctl.host.interface import (
    HostChange,
    HostState,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
    RuleConfig,
    RuleKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.packet_size import mss

TABLE = 58700
"""lvsctl's own routing table."""
RULE_PRIORITY = 32765
"""Right before the main table's 32766; the kernel gives rules without a priority at most this."""
MAX_ROUTES = 500
"""Per family; a larger main table, as routing daemons make it, is not copied."""

_MIN_MSS = 88  # TCP_MIN_MSS
_MAX_MSS = 65495  # fib_convert_metrics in net/ipv4/metrics.c
_LINK_LOCAL = IPv6Network("fe80::/10")

Routes = Mapping[RouteKey, RouteConfig]
_NO_ROUTES: Routes = MappingProxyType({})
_THROW = RouteConfig(link=None, type="throw")


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes of one family.

    Attributes:
        main: Of the main table.
        foreign: Routes in lvsctl's table that somebody else added.
    """

    main: Routes = field(default_factory=lambda: _NO_ROUTES)
    foreign: Collection[RouteKey] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """Limits on the size of packets that come through the tunnels.

    Attributes:
        overhead: Bytes that the largest tunnel adds.
        path_mtu: Largest outer packet that the network passes; None to use the routes' MTU.
    """

    overhead: int
    path_mtu: int | None = None


@dataclass(frozen=True, slots=True)
class MssPlan:
    """What one family's VIPs need.

    Attributes:
        routes: In an order in which gateways can be reached.
        rules: By VIP.
        not_copied: Routes whose clients are announced no smaller MSS.
        foreign: Routes of others in lvsctl's table, which is left alone because of them.
        too_many: Number of routes, if more than are copied; else 0.
    """

    routes: HostState = field(default_factory=dict)
    rules: Mapping[IPAddress, RuleKey] = field(default_factory=dict)
    not_copied: tuple[RouteKey, ...] = ()
    foreign: tuple[RouteKey, ...] = ()
    too_many: int = 0

    @property
    def rule_state(self) -> HostState:
        """The rules as a state."""
        return dict.fromkeys(self.rules.values(), RuleConfig())


def copy_key(key: RouteKey) -> RouteKey:
    """Return the key of a route's copy."""
    return RouteKey(TABLE, key.destination, key.metric)


def vip_rule(vip: IPAddress) -> RuleKey:
    """Return the rule that selects lvsctl's table for a VIP's packets."""
    return RuleKey(family_of(vip), RULE_PRIORITY, TABLE, source=ip_network(vip))


def mtu_sysctl(link: str) -> SysctlKey:
    """Return IPv6's own MTU of a device, which a router may have advertised."""
    return SysctlKey(("net", "ipv6", "conf", link, "mtu"))


def plan_mss(  # noqa: PLR0917 - all inputs of a plan
    vips: Collection[IPAddress],
    routing: Routing,
    state: HostState,
    limit: Limit,
    tunnels: Collection[str],
    refused: Collection[HostChange] = frozenset(),
) -> MssPlan:
    """Plan routes and rules for the VIPs of one family.

    Args:
        vips: The VIPs.
        routing: That family's routes.
        state: Observed state, at least of the devices of the routes.
        limit: Limits on packet size.
        tunnels: Devices that only take packets from directors.
        refused: Changes that the host just refused.
    """
    main = dict(_to_clients(routing.main, tunnels))
    if not (vips and main):
        return MssPlan()
    if routing.foreign:
        return MssPlan(foreign=tuple(routing.foreign))
    if len(main) > MAX_ROUTES:
        return MssPlan(too_many=len(main))
    routes = dict(_copies(main, state, limit, refused))
    not_copied = tuple(
        key
        for key, config in main.items()
        if config.type == "unicast"
        and not _is_link_local(key)
        and routes[copy_key(key)].type == "throw"
    )
    # The kernel resolves a gateway in the table that its route is added to.
    in_order = sorted(routes.items(), key=lambda item: item[1].gateway is not None)
    return MssPlan(dict(in_order), {vip: vip_rule(vip) for vip in vips}, not_copied)


def _to_clients(main: Routes, tunnels: Collection[str]) -> Iterator[tuple[RouteKey, RouteConfig]]:
    """Yield the routes that replies to clients may take."""
    for key, config in main.items():
        if config.link not in {"lo", *tunnels}:
            yield key, config


def _copies(
    main: Routes, state: HostState, limit: Limit, refused: Collection[HostChange]
) -> Iterator[tuple[RouteKey, RouteConfig]]:
    for key, config in main.items():
        copy, copied = copy_key(key), _copy(key, config, state, limit)
        yield copy, _THROW if HostChange(copy, copied) in refused else copied


def _copy(key: RouteKey, config: RouteConfig, state: HostState, limit: Limit) -> RouteConfig:
    mtu = _route_mtu(key, config, state)
    # Every device has a link-local network, all under one key.
    if config.type != "unicast" or not config.whole or mtu is None or _is_link_local(key):
        return _THROW
    largest = min(mtu, limit.path_mtu or mtu) - limit.overhead
    fitting = mss(largest, family_of(key.destination.network_address))
    return RouteConfig(
        link=config.link,
        gateway=config.gateway,
        advmss=max(_MIN_MSS, min(fitting, config.advmss or fitting, _MAX_MSS)),
        mtu=config.mtu,
        scope=config.scope,
        onlink=config.onlink,
    )


def _is_link_local(key: RouteKey) -> bool:
    network = key.destination
    return isinstance(network, IPv6Network) and network.subnet_of(_LINK_LOCAL)


def _route_mtu(key: RouteKey, config: RouteConfig, state: HostState) -> int | None:
    if config.link is None:
        return None
    if config.mtu is not None:
        return config.mtu
    link = state.get(LinkKey(config.link))
    device = link.mtu if isinstance(link, LinkConfig) else None
    if device is None or family_of(key.destination.network_address) is Family.IPV4:
        return device
    learnt = state.get(mtu_sysctl(config.link))
    return min(device, int(learnt.value)) if isinstance(learnt, SysctlConfig) else device
