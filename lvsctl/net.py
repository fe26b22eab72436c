"""Addresses, families and transport protocols, as the kernel numbers them. Pure."""

import enum
import struct
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network


_OCTETS = {str(number): number for number in range(256)}


def parse_address(text: str) -> IPAddress:
    """Parse an address, like :func:`ipaddress.ip_address`.

    Four times as fast for dotted-quad IPv4: farms have tens of thousands of addresses.

    Raises:
        ValueError: Not an address.
    """
    try:
        a, b, c, d = [_OCTETS[part] for part in text.split(".")]
    except (KeyError, ValueError):
        return ip_address(text)
    return IPv4Address(a << 24 | b << 16 | c << 8 | d)


def address_text(address: IPAddress) -> str:
    """Write an address as ``str`` does; three times as fast for IPv4, for the same reason."""
    if isinstance(address, IPv4Address):
        number = int(address)
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return str(address)


class IpProtocol(enum.IntEnum):
    """A transport protocol that IPVS balances, with its IANA number."""

    TCP = 6
    UDP = 17
    SCTP = 132

    def __str__(self) -> str:
        return self.name.lower()


class Family(enum.IntEnum):
    """An address family, with its number in Linux."""

    IPV4 = 2
    IPV6 = 10

    def __str__(self) -> str:
        return "IPv4" if self is Family.IPV4 else "IPv6"

    @property
    def bits(self) -> int:
        """Address length in bits."""
        return 32 if self is Family.IPV4 else 128


def family_of(address: IPAddress) -> Family:
    """Return the family of an address."""
    return Family.IPV4 if address.version == 4 else Family.IPV6  # noqa: PLR2004


def internet_checksum(data: bytes) -> int:
    """Return the ones' complement of the ones' complement sum of 16-bit words (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
