"""Routes that let TCP announce segments which fit into the tunnel. Pure.

A client's packets come through the tunnel, so they must leave room for its header. Where ICMP is
filtered nobody tells the client; but a real server may announce a smaller MSS from the start.
What it announces is the ``advmss`` of the route to the client, and must be so for the VIPs only:
a rule for each VIP leads to a table of our own, a copy of the main table's routes with their
``advmss``. The answers themselves go the way that they would go without us:

- the rule comes right before the main table's, so that every other rule is obeyed first;
- a route that cannot be copied becomes ``throw``, which leads back to the main table.

The routes are there before their rule and go after it.
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
"""The table of our own."""
RULE_PRIORITY = 32765
"""Right before the main table's 32766; the kernel gives rules without a priority at most this."""
MOST_ROUTES = 500
"""A main table with more of a family, as routing daemons make it, is not copied."""

_LEAST_MSS = 88  # TCP_MIN_MSS
_MOST_MSS = 65495  # fib_convert_metrics in net/ipv4/metrics.c
_LINK_LOCAL = IPv6Network("fe80::/10")

Routes = Mapping[RouteKey, RouteConfig]
_NO_ROUTES: Routes = MappingProxyType({})
_THROW = RouteConfig(link=None, type="throw")


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes of one family.

    Attributes:
        main: Of the main table.
        foreign: Of our table, but not ours.
    """

    main: Routes = field(default_factory=lambda: _NO_ROUTES)
    foreign: Collection[RouteKey] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """What bounds the packets that come through the tunnels.

    Attributes:
        overhead: Bytes that the largest tunnel adds.
        path_mtu: Largest outer packet that the network lets through; None where routes say it.
    """

    overhead: int
    path_mtu: int | None = None


@dataclass(frozen=True, slots=True)
class MssPlan:
    """What one family's VIPs need.

    Attributes:
        routes: In an order in which gateways can be reached.
        rules: By VIP.
        not_copied: Routes whose clients are told no smaller MSS.
        foreign: Routes of others in our table, because of which it is left alone.
        too_many: How many routes there are, if more than are copied; else 0.
    """

    routes: HostState = field(default_factory=dict)
    rules: Mapping[IPAddress, RuleKey] = field(default_factory=dict)
    not_copied: tuple[RouteKey, ...] = ()
    foreign: tuple[RouteKey, ...] = ()
    too_many: int = 0

    @property
    def wanted_rules(self) -> HostState:
        """The rules as a state."""
        return dict.fromkeys(self.rules.values(), RuleConfig())


def in_our_table(key: RouteKey) -> RouteKey:
    """Return the key of a route's copy."""
    return RouteKey(TABLE, key.destination, key.metric)


def rule_of(vip: IPAddress) -> RuleKey:
    """Return the rule that leads a VIP's packets to our table."""
    return RuleKey(family_of(vip), RULE_PRIORITY, TABLE, source=ip_network(vip))


def mtu_sysctl(link: str) -> SysctlKey:
    """Return IPv6's own MTU of a device, which a router may have advertised."""
    return SysctlKey(("net", "ipv6", "conf", link, "mtu"))


def plan_mss(  # noqa: PLR0917 - all that a plan follows from
    vips: Collection[IPAddress],
    routing: Routing,
    state: HostState,
    limit: Limit,
    tunnels: Collection[str],
    refused: Collection[HostChange] = frozenset(),
) -> MssPlan:
    """Work out routes and rules for the VIPs of one family.

    Args:
        vips: The VIPs.
        routing: That family's routes.
        state: What is, at least for the devices of the routes.
        limit: What bounds the packets.
        tunnels: Devices that only take packets from directors.
        refused: Changes that the host just refused to make.
    """
    main = dict(_to_clients(routing.main, tunnels))
    if not (vips and main):
        return MssPlan()
    if routing.foreign:
        return MssPlan(foreign=tuple(routing.foreign))
    if len(main) > MOST_ROUTES:
        return MssPlan(too_many=len(main))
    routes = dict(_copies(main, state, limit, refused))
    not_copied = tuple(
        key
        for key, config in main.items()
        if config.type == "unicast"
        and not _is_link_local(key)
        and routes[in_our_table(key)].type == "throw"
    )
    # A gateway is looked for in the table that its route is put in.
    in_order = sorted(routes.items(), key=lambda item: item[1].gateway is not None)
    return MssPlan(dict(in_order), {vip: rule_of(vip) for vip in vips}, not_copied)


def _to_clients(main: Routes, tunnels: Collection[str]) -> Iterator[tuple[RouteKey, RouteConfig]]:
    """Yield the routes that answers to clients may take."""
    for key, config in main.items():
        if config.link not in {"lo", *tunnels}:
            yield key, config


def _copies(
    main: Routes, state: HostState, limit: Limit, refused: Collection[HostChange]
) -> Iterator[tuple[RouteKey, RouteConfig]]:
    for key, config in main.items():
        copy, copied = in_our_table(key), _copy(key, config, state, limit)
        yield copy, _THROW if HostChange(copy, copied) in refused else copied


def _copy(key: RouteKey, config: RouteConfig, state: HostState, limit: Limit) -> RouteConfig:
    mtu = _route_mtu(key, config, state)
    # There is a link-local network on each device, under one key.
    if config.type != "unicast" or not config.whole or mtu is None or _is_link_local(key):
        return _THROW
    largest = min(mtu, limit.path_mtu or mtu) - limit.overhead
    fitting = mss(largest, family_of(key.destination.network_address))
    return RouteConfig(
        link=config.link,
        gateway=config.gateway,
        advmss=max(_LEAST_MSS, min(fitting, config.advmss or fitting, _MOST_MSS)),
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
