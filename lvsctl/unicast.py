"""Which addresses a host can have: one definition for VIPs, real servers and tunnels. Pure."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Address

from lvsctl.net import IPAddress, IPInterface

_POINT_TO_POINT_PREFIX = 31  # RFC 3021: both addresses are hosts

_UNUSABLE_IPV4 = tuple(
    (int(network[0]), int(network[-1]), nature)
    for network, nature in (
        (IPv4Network("0.0.0.0/32"), "the unspecified address"),
        (IPv4Network("0.0.0.0/8"), "an address of 'this network'"),  # RFC 1122, 3.2.1.3
        (IPv4Network("127.0.0.0/8"), "a loopback address"),
        (IPv4Network("224.0.0.0/4"), "a multicast address"),
        (IPv4Network("169.254.0.0/16"), "a link-local address"),
        (IPv4Network("240.0.0.0/4"), "a reserved address"),
    )
)
"""First and last of each range as integers, for speed: farms have tens of thousands of
addresses."""
_FIRST_OCTETS = frozenset(
    octet for first, last, _ in _UNUSABLE_IPV4 for octet in range(first >> 24, (last >> 24) + 1)
)
"""Addresses that begin with any other number can be used."""


def why_not_unicast(address: IPAddress) -> str:
    """Return why a host cannot have an address; empty if it can.

    It can have private and unique local addresses (RFC 1918, RFC 4193).
    """
    if isinstance(address, IPv6Address):
        return _why_not_unicast_ipv6(address)
    number = int(address)
    if number >> 24 not in _FIRST_OCTETS:
        return ""
    for first, last, nature in _UNUSABLE_IPV4:
        if first <= number <= last:
            return nature
    return ""


def _why_not_unicast_ipv6(address: IPv6Address) -> str:
    if address.scope_id:
        return "an address with a zone, which is specific to one host"
    if address.ipv4_mapped:
        return f"{address.ipv4_mapped} written as IPv6"
    if address.is_unspecified:
        return "the unspecified address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_site_local:
        return "a site-local address, deprecated by RFC 3879"
    return "a reserved address" if address.is_reserved else ""


def broadcast_addresses(
    interfaces: Iterable[tuple[str, IPInterface]],
) -> Iterator[tuple[IPAddress, str]]:
    """Yield the broadcast addresses of networks, each with its description.

    Linux before 5.14 treats the first address of an IPv4 network as one too.

    Args:
        interfaces: Devices and their addresses.
    """
    for link, interface in interfaces:
        network = interface.network
        if isinstance(network, IPv4Network) and network.prefixlen < _POINT_TO_POINT_PREFIX:
            for address in (network.broadcast_address, network.network_address):
                yield address, f"every host of {network} on {link}"
