"""A tunnel between two hosts as people declare it, and what it must keep to. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from lvsctl.errors import Problem
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.packet_size import IP_HEADER
from lvsctl.unicast import why_not_unicast

IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network

LINK_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$"
"""Names of devices; IFNAMSIZ leaves 15 characters."""
_LINK = re.compile(LINK_PATTERN)
LINK_ALLOWED = "1 to 15 letters, digits, '.', '_', '-', with a letter or digit at its start"
_TAKEN_LINKS = frozenset(
    {"tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"}
    | {"lo", "all", "default"}
)
"""The kernel's own devices, and what sysctls call all devices and later ones."""
_OWN_PREFIX = "lvs"  # lvs0, lvs-ipip: devices that serve VIPs

MAX_KEY = 0xFFFFFFFF
MAX_TTL = 255
MAX_ADDRESSES = 16
"""At one end."""
MIN_MTU: Mapping[Family, int] = {Family.IPV4: 68, Family.IPV6: 1280}
"""RFC 791, 3.2; RFC 8200, 5."""
_WIDEST: Mapping[Family, int] = {Family.IPV4: 16, Family.IPV6: 48}
"""Shortest prefix of an inner network."""
_MAX_PACKET = 0xFFFF
_GRE_HEADER, _GRE_KEY, _ETHERNET_HEADER = 4, 4, 14

MODES_WITH_IPV6_OUTSIDE = frozenset({TunnelMode.GRE})
MODES_WITH_KEY = frozenset({TunnelMode.GRE, TunnelMode.GRETAP})
MODES_WITH_IPV6_INSIDE = MODES_WITH_KEY


@dataclass(frozen=True, slots=True)
class End:
    """One end of a tunnel.

    Attributes:
        agent: Name of the agent whose host it is on.
        underlay: That host's address; the tunnel's packets come from it.
        addresses: Of this end inside the tunnel, with the prefix length of the inner network.
        device: Device by which the packets leave; None for the route's.
        link: Name of the tunnel's device on this host; None for the tunnel's own name.
    """

    agent: str
    underlay: IPAddress
    addresses: tuple[IPInterface, ...]
    device: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel between two hosts.

    Attributes:
        name: Unique among the tunnels.
        mode: What the packets are wrapped in.
        ends: Both, in the order of the file.
        key: Of gre and gretap, both ways; None without.
        ttl: Of the outer packets, 1 to 255; None copies the inner packet's.
        mtu: Bytes inside; None for the kernel's: the underlay's less the headers.
    """

    name: str
    mode: TunnelMode
    ends: tuple[End, ...]
    key: int | None = None
    ttl: int | None = None
    mtu: int | None = None


def overhead(mode: TunnelMode, outer: Family, key: int | None) -> int:
    """Return the bytes that a tunnel puts before each inner packet (RFC 2003, 2784, 2890)."""
    size = IP_HEADER[outer]
    if mode is not TunnelMode.IPIP:
        size += _GRE_HEADER + (0 if key is None else _GRE_KEY)
    return size + (_ETHERNET_HEADER if mode is TunnelMode.GRETAP else 0)


def ends_on(agent: str, tunnels: Mapping[str, Tunnel]) -> tuple[TunnelEnd, ...]:
    """Return what the host of an agent needs for all tunnels, by the name of the tunnel."""
    return tuple(
        end_of(tunnel, index)
        for _, tunnel in sorted(tunnels.items())
        for index, end in enumerate(tunnel.ends)
        if end.agent == agent
    )


def end_of(tunnel: Tunnel, index: int) -> TunnelEnd:
    """Return what the host of one end, 0 or 1, needs."""
    own, other = tunnel.ends[index], tunnel.ends[1 - index]
    return TunnelEnd(
        tunnel=tunnel.name,
        link=own.link or tunnel.name,
        mode=tunnel.mode,
        local=own.underlay,
        remote=other.underlay,
        addresses=own.addresses,
        peers=tuple(address.ip for address in other.addresses),
        device=own.device,
        key=tunnel.key,
        ttl=tunnel.ttl,
        mtu=tunnel.mtu,
    )


# What one host's end must keep to. Pointers are the fields of messages.TunnelEnd.


def end_problems(end: TunnelEnd) -> Iterator[Problem]:
    """Yield what is wrong with an end, whatever host it is for."""
    yield from _link("/link", end.link)
    if end.device is not None:
        yield from _device(end)
    for pointer, address in (("/local", end.local), ("/remote", end.remote)):
        yield from _unicast(pointer, address)
    for index, peer in enumerate(end.peers):
        yield from _unicast(f"/peers/{index}", peer)
    yield from _outside(end)
    yield from _options(end)
    yield from _inside(end)


def _link(pointer: str, name: str) -> Iterator[Problem]:
    if not _LINK.fullmatch(name):
        yield Problem(pointer, f"{name!r} is no name of a device", LINK_ALLOWED)
    elif name in _TAKEN_LINKS or name.startswith(_OWN_PREFIX):
        yield Problem(pointer, f"{name} is a name of the kernel's or of lvsctl's", "another name")


def _device(end: TunnelEnd) -> Iterator[Problem]:
    device = end.device or ""
    if not _LINK.fullmatch(device):
        yield Problem("/device", f"{device!r} is no name of a device", LINK_ALLOWED)
    elif device == end.link:
        yield Problem("/device", f"{device} is the tunnel's own device", "the device below it")


def _unicast(pointer: str, address: IPAddress) -> Iterator[Problem]:
    if nature := why_not_unicast(address):
        yield Problem(pointer, f"{address} is {nature}", "an address of a host")


def _outside(end: TunnelEnd) -> Iterator[Problem]:
    if family_of(end.local) is not family_of(end.remote):
        yield Problem(
            "/remote",
            f"{end.remote} and {end.local} are of different families",
            f"an {family_of(end.local)} address",
        )
    elif end.local == end.remote:
        yield Problem("/remote", f"both ends are at {end.local}", "the other host's address")
    elif family_of(end.local) is Family.IPV6 and end.mode not in MODES_WITH_IPV6_OUTSIDE:
        yield Problem("/mode", f"{end.mode} is not carried by IPv6 here", "gre")


def _options(end: TunnelEnd) -> Iterator[Problem]:
    if end.key is not None:
        if end.mode not in MODES_WITH_KEY:
            yield Problem("/key", f"{end.mode} has no key", "leave it out, or mode gre or gretap")
        elif not 0 <= end.key <= MAX_KEY:
            yield Problem("/key", f"{end.key} is out of range", f"0 to {MAX_KEY}")
    if end.ttl is not None and not 1 <= end.ttl <= MAX_TTL:
        yield Problem("/ttl", f"{end.ttl} is out of range", f"1 to {MAX_TTL}")
    if end.mtu is not None:
        inner = (family_of(address.ip) for address in end.addresses)
        least = max((MIN_MTU[family] for family in inner), default=MIN_MTU[Family.IPV4])
        most = _MAX_PACKET - overhead(end.mode, family_of(end.local), end.key)
        if not least <= end.mtu <= most:
            yield Problem("/mtu", f"{end.mtu} is out of range", f"{least} to {most}")


def _inside(end: TunnelEnd) -> Iterator[Problem]:
    if not end.addresses:
        yield Problem("/addresses", "there is no address inside", "one, like 192.168.2.1/24")
    if len(end.addresses) > MAX_ADDRESSES:
        yield Problem("/addresses", f"{len(end.addresses)} are too many", f"up to {MAX_ADDRESSES}")
        return
    for index, address in enumerate(end.addresses):
        pointer = f"/addresses/{index}"
        yield from _unicast(pointer, address.ip)
        yield from _host_address(pointer, address)
        yield from _narrow(pointer, address)
        if address.version == 6 and end.mode not in MODES_WITH_IPV6_INSIDE:  # noqa: PLR2004
            yield Problem(
                pointer, f"{end.mode} carries no IPv6, and {address} is", "mode gre or gretap"
            )
        for other in end.addresses[:index]:
            if overlap(address.network, other.network):
                yield Problem(pointer, f"{address} overlaps {other}", "a network of its own")
        for what in (end.local, end.remote):
            if what in address.network:
                yield Problem(
                    pointer,
                    f"{what}, between which the tunnel runs, is in the inner network "
                    f"{address.network}: its packets would go into the tunnel itself",
                    "a network without it",
                )


def _host_address(pointer: str, address: IPInterface) -> Iterator[Problem]:
    network = address.network
    if network.num_addresses <= 2:  # noqa: PLR2004 - RFC 3021: both addresses are hosts
        return
    if address.ip == network.network_address:
        yield Problem(pointer, f"{address} is the network itself", f"a host of {network}")
    elif network.version == 4 and address.ip == network.broadcast_address:  # noqa: PLR2004
        yield Problem(pointer, f"{address} is the broadcast address", f"a host of {network}")


def _narrow(pointer: str, address: IPInterface) -> Iterator[Problem]:
    """Yield why an inner network would take packets of half the world into the tunnel."""
    widest = _WIDEST[family_of(address.ip)]
    if address.network.prefixlen < widest:
        detail = f"{address.network} is too wide for a link between two hosts"
        yield Problem(pointer, detail, f"a network of /{widest} or narrower")


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether two networks have addresses in common."""
    # Networks of different families cannot be compared.
    return (
        isinstance(one, IPv4Network) and isinstance(other, IPv4Network) and one.overlaps(other)
    ) or (isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other))


# What a declared tunnel must keep to. Pointers are relative to the tunnel.

_AT_END: Mapping[str, str] = {
    "/local": "underlay",
    "/link": "link",
    "/device": "device",
    "/addresses": "addresses",
}
_AT_TUNNEL = ("/mode", "/key", "/ttl", "/mtu")


def tunnel_problems(tunnel: Tunnel) -> Iterator[Problem]:
    """Yield what is wrong with a tunnel by itself."""
    if len(tunnel.ends) != 2:  # noqa: PLR2004
        yield Problem("/ends", f"a tunnel has two ends, not {len(tunnel.ends)}", "two")
        return
    if tunnel.ends[0].agent == tunnel.ends[1].agent:
        detail = f"both ends are on {tunnel.ends[0].agent}"
        yield Problem("/ends/1/agent", detail, "the agent of another host")
    found: dict[Problem, None] = {}
    for index in (0, 1):
        for problem in end_problems(end_of(tunnel, index)):
            found.setdefault(_at(problem, tunnel, index))
    yield from found
    if all(len(end.addresses) <= MAX_ADDRESSES for end in tunnel.ends):
        yield from _ends_match(tunnel)


def _at(problem: Problem, tunnel: Tunnel, index: int) -> Problem:
    """Return the problem of an end as one of its tunnel."""
    field, _, rest = problem.pointer.removeprefix("/").partition("/")
    if f"/{field}" in _AT_TUNNEL:
        return problem
    if field == "peers":
        return Problem(f"/ends/{1 - index}/addresses/{rest}", problem.detail, problem.allowed)
    if field == "remote":
        return Problem(f"/ends/{1 - index}/underlay", problem.detail, problem.allowed)
    if field == "link" and tunnel.ends[index].link is None:
        allowed = f"{problem.allowed}; or give the end a link"
        return Problem("/name", problem.detail, allowed)
    pointer = "/".join(filter(None, [f"/ends/{index}", _AT_END[f"/{field}"], rest]))
    return Problem(pointer, problem.detail, problem.allowed)


def _ends_match(tunnel: Tunnel) -> Iterator[Problem]:
    one, other = tunnel.ends
    networks = {address.network for address in one.addresses}
    hosts = {address.ip for address in one.addresses}
    for index, address in enumerate(other.addresses):
        pointer = f"/ends/1/addresses/{index}"
        if address.ip in hosts:
            yield Problem(pointer, f"{address.ip} is the other end's too", "another address")
        elif address.network not in networks:
            yield Problem(
                pointer,
                f"{address} is in no network of the other end",
                _listed(sorted(map(str, networks))),
            )
    missing = networks - {address.network for address in other.addresses}
    for index, address in enumerate(one.addresses):
        if address.network in missing:
            detail = f"the other end has no address in {address.network}"
            yield Problem(f"/ends/0/addresses/{index}", detail, "one at each end")


def _listed(names: Sequence[str]) -> str:
    return "an address in " + " or ".join(names) if names else ""
