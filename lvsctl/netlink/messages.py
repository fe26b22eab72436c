"""Netlink messages: the frames around requests, answers, acknowledgements and errors.

Source: ``include/uapi/linux/netlink.h``, ``include/uapi/linux/genetlink.h``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lvsctl.errors import MalformedMessage
from lvsctl.netlink.attributes import (
    U16,
    U32,
    attribute,
    number,
    padded,
    parse_attributes,
)

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
GENERIC_HEADER = struct.Struct("=BBH")  # command, version, reserved

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP_INTR = 0x010
NLM_F_CAPPED = 0x100  # on an error: only the header of the request follows
NLM_F_ACK_TLVS = 0x200  # on an error: attributes with the extended error message follow
NLM_F_DUMP = 0x300

_ERROR = struct.Struct("=i")
_ERROR_ATTRIBUTE_MESSAGE = 1

CONTROL_FAMILY = 0x10
_CONTROL_GET_FAMILY = 3
_CONTROL_ATTRIBUTE_FAMILY_ID = 1
_CONTROL_ATTRIBUTE_FAMILY_NAME = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a datagram.

    Attributes:
        type: NLMSG_ERROR, NLMSG_DONE, …, or the id of a generic netlink family.
        flags: ``NLM_F_*``.
        sequence: That of the request.
        payload: Everything after the netlink header.
    """

    type: int
    flags: int
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The outcome of a request, from an NLMSG_ERROR or NLMSG_DONE.

    Attributes:
        errno: 0 for an acknowledgement, else the positive error number.
        message: The kernel's extended message, often empty.
    """

    errno: int
    message: str = ""


def frame(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """Add the netlink header and padding to a payload."""
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, flags, sequence, 0) + payload + bytes(-length % 4)


def parse_messages(datagram: bytes) -> Iterator[Message]:
    """Decode the messages of one datagram.

    Raises:
        MalformedMessage: A message's length does not fit.
    """
    offset = 0
    while offset < len(datagram):
        if offset + HEADER.size > len(datagram):
            raise MalformedMessage("a netlink datagram ends within a header")
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > len(datagram):
            raise MalformedMessage(f"a netlink message at byte {offset} has length {length}")
        yield Message(kind, flags, sequence, datagram[offset + HEADER.size : offset + length])
        offset += padded(length)


def last_message(datagram: bytes) -> tuple[int, Message]:
    """Return the last message of a datagram, and where it begins, without decoding the others.

    Raises:
        MalformedMessage: A message's length does not fit.
    """
    at, following, size = 0, 0, len(datagram)
    unpack = U32.unpack_from
    while following < size:
        if following + HEADER.size > size:
            raise MalformedMessage("a netlink datagram ends within a header")
        at = following
        length: int = unpack(datagram, at)[0]
        if length < HEADER.size or at + length > size:
            raise MalformedMessage(f"a netlink message at byte {at} has length {length}")
        following += (length + 3) & ~3
    for message in parse_messages(datagram[at:]):
        return at, message
    raise MalformedMessage("a netlink datagram is empty")


def parse_ack(message: Message) -> Ack:
    """Decode the payload of an NLMSG_ERROR or NLMSG_DONE.

    Raises:
        MalformedMessage: It is too short.
    """
    payload = message.payload
    if message.type == NLMSG_DONE and not payload:
        return Ack(0)
    error = -_first(_ERROR, payload)
    if not message.flags & NLM_F_ACK_TLVS:
        return Ack(error)
    offset = _ERROR.size
    if message.type == NLMSG_ERROR and message.flags & NLM_F_CAPPED:
        offset += HEADER.size
    elif message.type == NLMSG_ERROR:
        offset += padded(_first(U32, payload[offset:]))
    message_text = parse_attributes(payload, offset).get(_ERROR_ATTRIBUTE_MESSAGE, b"")
    return Ack(error, message_text.partition(b"\0")[0].decode("ascii", "replace"))


def _first(layout: struct.Struct, data: bytes) -> int:
    if len(data) < layout.size:
        raise MalformedMessage(f"an error message of the kernel ends after {len(data)} bytes")
    value: int = layout.unpack_from(data)[0]
    return value


def family_request(name: str) -> bytes:
    """Return the payload that asks the control family for the id of a family."""
    name_attribute = attribute(_CONTROL_ATTRIBUTE_FAMILY_NAME, name.encode("ascii") + b"\0")
    return GENERIC_HEADER.pack(_CONTROL_GET_FAMILY, 1, 0) + name_attribute


def parse_family(payload: bytes) -> int:
    """Return the family id from the control family's answer.

    Raises:
        MalformedMessage: The id is missing.
    """
    attributes = parse_attributes(payload, GENERIC_HEADER.size)
    return number(U16, attributes, _CONTROL_ATTRIBUTE_FAMILY_ID, "a family id")
