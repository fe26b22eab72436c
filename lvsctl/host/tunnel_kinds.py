"""The kinds of tunnel links, and what each of them can be. Pure.

Source: ip-link(8); ``net/ipv4/ip_tunnel.c``, ``net/ipv6/ip6_tunnel.c`` and their users.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lvsctl.host.interface import LinkConfig
from lvsctl.net import Family, family_of

_KEY_MAX = 2**32 - 1
_TTL_MAX = 255
_GRE_FIELD_BYTES = 4  # RFC 2784, RFC 2890: key and checksum take four bytes each


@dataclass(frozen=True, slots=True)
class TunnelKind:
    """A kind of tunnel link.

    Attributes:
        outer: Family of its ends.
        header: Bytes that it puts before a packet when it has neither key nor checksum. IPv6's
            include the encapsulation limit (RFC 2473, 4.1.1), gretap's the Ethernet header.
        gre: Its header can have a key and a checksum.
    """

    outer: Family
    header: int
    gre: bool = False


TUNNEL_KINDS: Mapping[str, TunnelKind] = MappingProxyType(
    {
        "ipip": TunnelKind(Family.IPV4, 20),
        "gre": TunnelKind(Family.IPV4, 24, gre=True),
        "gretap": TunnelKind(Family.IPV4, 38, gre=True),
        "sit": TunnelKind(Family.IPV4, 20),
        "ip6tnl": TunnelKind(Family.IPV6, 48),
        "ip6gre": TunnelKind(Family.IPV6, 52, gre=True),
    }
)
"""By what rtnetlink calls them."""


def header_bytes(config: LinkConfig) -> int:
    """Return what a tunnel link adds to each packet; its MTU is the underlay's less that."""
    options = (config.key is not None) + config.checksum
    return TUNNEL_KINDS[config.kind].header + options * _GRE_FIELD_BYTES


def invalid_reason(config: LinkConfig) -> str | None:
    """Return why no link of this kind can be so, None where one can."""
    kind = TUNNEL_KINDS.get(config.kind)
    if kind is None:
        plain = LinkConfig(config.kind, config.up, config.mtu)
        named = f"of kind {config.kind}" if config.kind else "that is hardware"
        return None if config == plain else f"a device {named} is no tunnel"
    for end in (config.local, config.remote):
        if end is not None and family_of(end) is not kind.outer:
            return f"the ends of a {config.kind} device are {kind.outer} addresses, not {end}"
    if (config.key is not None or config.checksum) and not kind.gre:
        return f"a {config.kind} device has neither key nor checksum; gre has"
    if config.key is not None and not 0 <= config.key <= _KEY_MAX:
        return f"a key is 0 to {_KEY_MAX}, not {config.key}"
    if config.ttl is not None and not 1 <= config.ttl <= _TTL_MAX:
        return f"a TTL is 1 to {_TTL_MAX}, not {config.ttl}; without one the inner TTL is copied"
    if config.any_protocol and config.kind != "ip6tnl":
        return f"only ip6tnl devices have the mode any, {config.kind} devices do not"
    return None


def describe(config: LinkConfig) -> str:
    """Return a link in ip-link(8)'s words."""
    words = [
        config.kind or "hardware",
        "mode any" if config.any_protocol else "",
        f"local {config.local}" if config.local else "",
        f"remote {config.remote}" if config.remote else "",
        f"dev {config.underlay}" if config.underlay else "",
        f"key {config.key}" if config.key is not None else "",
        "csum" if config.checksum else "",
        f"ttl {config.ttl}" if config.ttl else "",
    ]
    return " ".join(filter(None, words))


def immutable_part(config: LinkConfig) -> LinkConfig:
    """Return a link without what can be changed in place, to compare with others."""
    return LinkConfig(
        config.kind,
        up=False,
        local=config.local,
        remote=config.remote,
        underlay=config.underlay,
        key=config.key,
        checksum=config.checksum,
        ttl=config.ttl,
        any_protocol=config.any_protocol,
    )


def same_ends(one: LinkConfig, other: LinkConfig) -> bool:
    """Tell whether the kernel would not know which of two links a packet is for."""
    return (one.kind, one.local, one.remote, one.underlay, one.key) == (
        other.kind,
        other.local,
        other.remote,
        other.underlay,
        other.key,
    )
