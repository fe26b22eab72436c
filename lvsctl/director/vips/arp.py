"""ARP frames over Ethernet (RFC 826, RFC 5227)."""

import struct
from ipaddress import IPv4Address

ETHERTYPE = 0x0806

_BROADCAST = b"\xff" * 6
_ETHERNET, _IPV4, _REQUEST = 1, 0x0800, 1
_HEADER_LENGTH = 14
_ARP = struct.Struct("!HHBBH6s4s6s4s")


def probe(mac: bytes, address: IPv4Address) -> bytes:
    """Return an ARP probe for an address (RFC 5227, 2.1.1)."""
    return _request(mac, IPv4Address(0), address)


def announcement(mac: bytes, address: IPv4Address) -> bytes:
    """Return an ARP announcement of an address (RFC 5227, 3)."""
    return _request(mac, address, address)


def sender(frame: bytes) -> tuple[IPv4Address, bytes] | None:
    """Return the address that a frame claims, and its sender; None if it claims none."""
    if len(frame) < _HEADER_LENGTH + _ARP.size:
        return None
    *_, mac, address, _, _ = _ARP.unpack_from(frame, _HEADER_LENGTH)
    return IPv4Address(address), mac


def _request(mac: bytes, own: IPv4Address, target: IPv4Address) -> bytes:
    ethernet = _BROADCAST + mac + struct.pack("!H", ETHERTYPE)
    return ethernet + _ARP.pack(
        _ETHERNET, _IPV4, 6, 4, _REQUEST, mac, own.packed, bytes(6), target.packed
    )
