"""Network devices as rtnetlink tells them and wants them told, in pyroute2's words.

Source: ``include/uapi/linux/{if_link,if_tunnel}.h``.
"""

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import LinkConfig
from lvsctl.host.tunnel_kinds import TUNNEL_KINDS
from lvsctl.net import Family, IPAddress

Message = Mapping[str, Any]

IFF_UP = 0x1
GRE_CSUM = 0x8000
GRE_KEY = 0x2000
# What ip-tunnel(8) gives an IPv6 tunnel that is asked for none.
_ENCAPSULATION_LIMIT = 4

TUNNEL_PREFIXES: Mapping[str, str] = {
    "ipip": "ipip",
    "gre": "gre",
    "gretap": "gre",
    "sit": "sit",
    "ip6tnl": "ip6tnl",
    "ip6gre": "ip6gre",
}
"""How pyroute2 names the attributes of each kind of tunnel: ``<prefix>_local``."""


def link_config(message: Message, link_names: Mapping[int, str]) -> LinkConfig:
    """Return the configuration that an RTM_NEWLINK tells.

    A fallback device has no properties of its own: what it tells beyond its kind, such as sit0's
    TTL, nobody gave it and nobody can change.
    """
    info = message.get("linkinfo") or {}
    kind = info.get("kind") or ""
    up, mtu = bool(message["flags"] & IFF_UP), message.get("mtu")
    if kind not in TUNNEL_PREFIXES or message.get("ifname") in FALLBACK_DEVICES:
        return LinkConfig(kind, up, mtu)
    prefix = TUNNEL_PREFIXES[kind]
    data = info.get("data") or {}
    gre = TUNNEL_KINDS[kind].gre
    incoming = _gre_flags(kind, data.get(f"{prefix}_iflags") or 0) if gre else 0
    outgoing = _gre_flags(kind, data.get(f"{prefix}_oflags") or 0) if gre else 0
    return LinkConfig(
        kind,
        up,
        mtu,
        local=_endpoint(data.get(f"{prefix}_local")),
        remote=_endpoint(data.get(f"{prefix}_remote")),
        underlay=link_names.get(data.get(f"{prefix}_link") or 0),
        key=data.get(f"{prefix}_ikey") if incoming & outgoing & GRE_KEY else None,
        checksum=bool(incoming & GRE_CSUM),
        ttl=data.get(f"{prefix}_ttl") or None,
        any_protocol=kind == "ip6tnl" and not data.get("ip6tnl_proto"),
    )


def tunnel_request(config: LinkConfig, underlay: int | None) -> Mapping[str, object]:
    """Return what creates a link of a tunnel's kind; nothing for other kinds.

    Args:
        config: The link.
        underlay: Index of its underlay device.
    """
    prefix = TUNNEL_PREFIXES.get(config.kind)
    if prefix is None:
        return {}
    request: dict[str, object] = {"ttl": config.ttl or 0}
    if config.local:
        request["local"] = str(config.local)
    if config.remote:
        request["remote"] = str(config.remote)
    if underlay is not None:
        request["link"] = underlay
    flags = (GRE_KEY if config.key is not None else 0) | (GRE_CSUM if config.checksum else 0)
    if flags:
        request["iflags"] = request["oflags"] = _gre_flags(config.kind, flags)
    if config.key is not None:
        request["ikey"] = request["okey"] = config.key
    if TUNNEL_KINDS[config.kind].outer is Family.IPV6:
        request["encap_limit"] = _ENCAPSULATION_LIMIT
    if config.kind == "ip6tnl":
        request["proto"] = 0 if config.any_protocol else socket.IPPROTO_IPV6
    return {f"{prefix}_{name}": value for name, value in request.items()}


def _gre_flags(kind: str, flags: int) -> int:
    # They are big-endian, which pyroute2 knows of gre but not of ip6gre.
    return socket.htons(flags) if kind == "ip6gre" else flags


def _endpoint(text: str | None) -> IPAddress | None:
    if text is None or (address := ip_address(text)).is_unspecified:
        return None
    return address
