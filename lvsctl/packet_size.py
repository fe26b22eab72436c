"""Overhead and MSS of tunnels. Pure.

Overhead is an outer IP header plus the tunnel type's own header (RFC 2003, RFC 2784,
draft-ietf-intarea-gue); measured on Linux.
"""

from collections.abc import Mapping
from types import MappingProxyType

from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.net import Family

IP_HEADER: Mapping[Family, int] = MappingProxyType({Family.IPV4: 20, Family.IPV6: 40})
"""Bytes, without options or extension headers."""
TCP_HEADER = 20

_BEHIND_OUTER_HEADER: Mapping[TunnelType, int] = MappingProxyType(
    {TunnelType.IPIP: 0, TunnelType.GRE: 4, TunnelType.GUE: 12}
)
_GRE_CHECKSUM = 4  # RFC 2784, 2.1: with two reserved bytes
_GUE_REMOTE_CHECKSUM = 8


def overhead(encapsulation: Encapsulation, outer: Family) -> int:
    """Return the bytes that a tunnel adds to each packet.

    Args:
        encapsulation: Of the packet.
        outer: Family of the real server's address.
    """
    size = IP_HEADER[outer] + _BEHIND_OUTER_HEADER[encapsulation.type]
    if encapsulation.type is TunnelType.GRE and TunnelFlag.CHECKSUM in encapsulation.flags:
        size += _GRE_CHECKSUM
    if TunnelFlag.REMOTE_CHECKSUM in encapsulation.flags:
        size += _GUE_REMOTE_CHECKSUM
    return size


def mss(mtu: int, inner: Family) -> int:
    """Return the largest TCP segment in a packet of ``mtu`` bytes (RFC 9293, 3.7.1)."""
    return mtu - IP_HEADER[inner] - TCP_HEADER
