"""Netlink attributes: (length, type, value) with values padded to four bytes.

Source: ``include/uapi/linux/netlink.h``.
"""

import struct
from collections.abc import Mapping

from lvsctl.errors import MalformedMessage

HEADER = struct.Struct("=HH")
U8 = struct.Struct("=B")
U16 = struct.Struct("=H")
U32 = struct.Struct("=I")
U64 = struct.Struct("=Q")
PORT = struct.Struct(">H")  # ports travel in network byte order

NESTED = 0x8000
TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

Attributes = Mapping[int, bytes]


def padded(length: int) -> int:
    """Return a length rounded up to the alignment of attributes and messages."""
    return (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute."""
    length = HEADER.size + len(value)
    return HEADER.pack(length, kind) + value + bytes(padded(length) - length)


def parse_attributes(data: bytes, offset: int = 0) -> Attributes:
    """Decode attributes; of a type that occurs twice the last one wins, as in Linux.

    Raises:
        MalformedMessage: An attribute's length does not fit.
    """
    found: dict[int, bytes] = {}
    end = len(data)
    unpack = HEADER.unpack_from
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        if length < 4 or offset + length > end:  # noqa: PLR2004
            raise MalformedMessage(f"a netlink attribute at byte {offset} has length {length}")
        found[kind & TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def required(attributes: Attributes, kind: int, what: str) -> bytes:
    """Return the value of a required attribute.

    Raises:
        MalformedMessage: It is missing.
    """
    try:
        return attributes[kind]
    except KeyError:
        raise MalformedMessage(f"the kernel's message lacks {what}") from None


def number(layout: struct.Struct, attributes: Attributes, kind: int, what: str) -> int:
    """Return an attribute as a number; as in Linux, bytes beyond its width are ignored.

    Raises:
        MalformedMessage: The attribute is missing or too short.
    """
    try:
        value: int = layout.unpack_from(attributes[kind])[0]
    except KeyError:
        raise MalformedMessage(f"the kernel's message lacks {what}") from None
    except struct.error:
        length = len(attributes[kind])
        raise MalformedMessage(f"{what} has {length} bytes instead of {layout.size}") from None
    return value


def text(value: bytes) -> str:
    """Decode a NUL-terminated ASCII string.

    Raises:
        MalformedMessage: It is not ASCII.
    """
    try:
        return value.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError:
        raise MalformedMessage(f"a name is not ASCII: {value!r}") from None
