"""Neighbour discovery messages over Ethernet (RFC 4861, RFC 4862, RFC 2464)."""

import struct
from ipaddress import IPv6Address

ADVERTISEMENT = 136

_ETHERTYPE, _ICMPV6, _HOP_LIMIT = 0x86DD, 58, 255
_SOLICITATION = 135
_OVERRIDE = 0x20000000
_TARGET_LINK_ADDRESS = 2
_NOBODY = IPv6Address("::")
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))

_MESSAGE = struct.Struct("!BBHI16s")
_OPTION = struct.Struct("!BB6s")


def solicitation(mac: bytes, target: IPv6Address) -> bytes:
    """Return the solicitation that duplicate address detection sends (RFC 4862).

    Its source is ``::``, so it must not contain a link address; the answer goes to all nodes.
    """
    to = IPv6Address(_SOLICITED_NODE | int(target) & 0xFFFFFF)
    return _frame(mac, _NOBODY, to, _MESSAGE.pack(_SOLICITATION, 0, 0, 0, target.packed))


def announcement(mac: bytes, target: IPv6Address) -> bytes:
    """Return an unsolicited advertisement of an address at ``mac`` (RFC 4861, 7.2.6)."""
    message = _MESSAGE.pack(ADVERTISEMENT, 0, 0, _OVERRIDE, target.packed)
    option = _OPTION.pack(_TARGET_LINK_ADDRESS, 1, mac)
    return _frame(mac, target, _ALL_NODES, message + option)


def advertised(message: bytes) -> tuple[IPv6Address, bytes | None] | None:
    """Return the address that an ICMPv6 message advertises, and its link address.

    None if it is not an advertisement; the link address is None if it is left out (it is required
    only in messages to all nodes).
    """
    if len(message) < _MESSAGE.size or message[0] != ADVERTISEMENT:
        return None
    target = IPv6Address(message[8:24])
    at = _MESSAGE.size
    while at + _OPTION.size <= len(message):
        kind, length, mac = _OPTION.unpack_from(message, at)
        if kind == _TARGET_LINK_ADDRESS:
            return target, mac
        at += 8 * max(length, 1)
    return target, None


def _frame(mac: bytes, source: IPv6Address, to: IPv6Address, message: bytes) -> bytes:
    ethernet = b"\x33\x33" + to.packed[-4:] + mac + struct.pack("!H", _ETHERTYPE)
    ends = source.packed + to.packed
    pseudo_header = ends + struct.pack("!II", len(message), _ICMPV6)
    checksum = _checksum(pseudo_header + message)
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT) + ends
    return ethernet + header + message[:2] + struct.pack("!H", checksum) + message[4:]


def _checksum(data: bytes) -> int:
    """Return the internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:  # noqa: PLR2004 - 16 bits
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
