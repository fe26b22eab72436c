"""The 64-bit counters of services and destinations (``IPVS_STATS_ATTR_*``)."""

from lvsctl.ipvs.table import Traffic
from lvsctl.netlink.attributes import U64, number, parse_attributes
from lvsctl.netlink.shapes import ShapeReader

COUNTERS = range(1, 11)  # in the order of Traffic's fields; 11 is padding
_READER = ShapeReader(0, {(kind,): "Q" for kind in COUNTERS})


def parse_traffic(value: bytes) -> Traffic:
    """Decode the value of a STATS64 attribute.

    Raises:
        MalformedMessage: A counter is missing or too short.
    """
    found = _READER.read(value)
    if found is not None:
        return Traffic(*found)
    attributes = parse_attributes(value)
    return Traffic(*(number(U64, attributes, kind, "a counter") for kind in COUNTERS))
