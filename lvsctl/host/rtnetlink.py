"""What rtnetlink's messages say of addresses, routes and rules.

Source: rtnetlink(7), ``include/uapi/linux/{if_addr,rtnetlink,fib_rules}.h``; messages are
decoded by pyroute2.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from pyroute2.netlink.rtnl import rt_type

from lvsctl.host.interface import AddressConfig, RouteConfig, RouteKey, RuleKey
from lvsctl.net import Family, IPInterface, IPNetwork

Message = Mapping[str, Any]

IFA_F_NODAD = 0x02
IFA_F_DEPRECATED = 0x20
FR_ACT_TO_TBL = 1
RTNH_F_ONLINK = 0x04
IPV6_DEFAULT_METRIC = 1024

_BEYOND_ROUTE_CONFIG = ("multipath", "encap", "via", "tos")
ROUTES_WITHOUT_LINK = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
_TYPE_NAMES: Mapping[int, str] = {
    number: name for name, number in rt_type.items() if isinstance(name, str)
}
_ANY_NETWORK = {Family.IPV4: ip_network("0.0.0.0/0"), Family.IPV6: ip_network("::/0")}


def interface_of(message: Message) -> IPInterface:
    """Return the address and prefix length of an RTM_NEWADDR."""
    # On a point-to-point device IFA_ADDRESS is the peer's.
    own = message.get("local") or message.get("address")
    return ip_interface(f"{own}/{message['prefixlen']}")


def address_config(message: Message) -> AddressConfig:
    """Return the options that an RTM_NEWADDR tells."""
    flags = message["flags"]
    return AddressConfig(nodad=bool(flags & IFA_F_NODAD), deprecated=bool(flags & IFA_F_DEPRECATED))


def route_key(message: Message) -> RouteKey:
    """Return the key of an RTM_NEWROUTE; IPv6's default metric is written 0."""
    family = Family(message["family"])
    metric = message.get("priority") or 0
    if family is Family.IPV6 and metric == IPV6_DEFAULT_METRIC:
        metric = 0
    return RouteKey(_table(message), _network(message, "dst", family), metric)


def route_config(message: Message, link_names: Mapping[int, str]) -> RouteConfig:
    """Return the configuration of an RTM_NEWROUTE; of several next hops, the first."""
    kind = _TYPE_NAMES[message["type"]]
    metrics = message.get("metrics") or {}
    first_hop = (message.get("multipath") or [message])[0]
    index = first_hop.get("oif")
    gateway, source = first_hop.get("gateway"), message.get("prefsrc")
    return RouteConfig(
        link=None if kind in ROUTES_WITHOUT_LINK else link_names.get(index),
        gateway=ip_address(gateway) if gateway else None,
        source=ip_address(source) if source else None,
        advmss=metrics.get("advmss"),
        mtu=metrics.get("mtu"),
        type=kind,
        scope=message["scope"],
        onlink=bool(first_hop["flags"] & RTNH_F_ONLINK),
        whole=not any(message.get(field) for field in _BEYOND_ROUTE_CONFIG),
    )


def rule_key(message: Message) -> RuleKey:
    """Return the key of an RTM_NEWRULE."""
    family = Family(message["family"])
    source = _network(message, "src", family)
    return RuleKey(
        family=family,
        priority=message.get("priority") or 0,
        table=_table(message),
        source=source if message["src_len"] else None,
        mark=message.get("fwmark"),
    )


def _table(message: Message) -> int:
    # The header's field holds 8 bits, the attribute 32.
    attribute: int | None = message.get("table")
    return message["table"] if attribute is None else attribute


def _network(message: Message, which: str, family: Family) -> IPNetwork:
    address = message.get(which)
    if address is None:
        return _ANY_NETWORK[family]
    return ip_network(f"{address}/{message[f'{which}_len']}")
