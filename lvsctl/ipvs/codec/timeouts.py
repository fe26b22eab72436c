"""Idle timeouts of connections as netlink attributes."""

from lvsctl.ipvs.codec.commands import CommandAttribute
from lvsctl.ipvs.table import Timeouts
from lvsctl.netlink.attributes import U32, attribute, number, parse_attributes
from lvsctl.netlink.messages import GENERIC_HEADER

_KINDS = (
    CommandAttribute.TIMEOUT_TCP,
    CommandAttribute.TIMEOUT_TCP_FIN,
    CommandAttribute.TIMEOUT_UDP,
)


def encode_timeouts(timeouts: Timeouts) -> bytes:
    """Return the attributes that set all three timeouts."""
    values = (timeouts.tcp_s, timeouts.tcp_fin_s, timeouts.udp_s)
    return b"".join(
        attribute(kind, U32.pack(value)) for kind, value in zip(_KINDS, values, strict=True)
    )


def parse_timeouts(payload: bytes) -> Timeouts:
    """Decode the answer to GET_CONFIG.

    Raises:
        MalformedMessage: A timeout is missing.
    """
    attributes = parse_attributes(payload, GENERIC_HEADER.size)
    return Timeouts(*(number(U32, attributes, kind, "a timeout") for kind in _KINDS))
