"""A destination as netlink attributes."""

import functools
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address

from lvsctl.ipvs.codec.commands import CommandAttribute
from lvsctl.ipvs.codec.service import parse_address
from lvsctl.ipvs.codec.traffic import COUNTERS, parse_traffic
from lvsctl.ipvs.table import (
    DestinationConfig,
    DestinationCounters,
    DestinationKey,
    Encapsulation,
    ForwardingMethod,
    Traffic,
    TunnelFlag,
    TunnelType,
)
from lvsctl.latest import latest
from lvsctl.net import Family
from lvsctl.netlink.attributes import (
    NESTED,
    PORT,
    U8,
    U16,
    U32,
    Attributes,
    number,
    parse_attributes,
    required,
)
from lvsctl.netlink.messages import GENERIC_HEADER
from lvsctl.netlink.shapes import Path, ShapeReader

_ADDR, _PORT, _FWD_METHOD, _WEIGHT, _U_THRESH, _L_THRESH = range(1, 7)
_ACTIVE_CONNS, _INACT_CONNS, _PERSIST_CONNS = range(7, 10)
_STATS = 10
_ADDR_FAMILY, _STATS64, _TUN_TYPE, _TUN_PORT, _TUN_FLAGS = range(11, 16)

COUNTERS_OF_DESTINATION = frozenset([_ACTIVE_CONNS, _INACT_CONNS, _PERSIST_CONNS, _STATS, _STATS64])
"""Attributes that change by themselves."""

_FORWARDING_MASK = 0x7
_PLAIN_TUNNEL = Encapsulation()
_FORWARDING_METHODS = dict(enumerate(ForwardingMethod))

# Nest header, then every attribute with its header and padding, in ipvsadm's order.
_DEST_TYPE = int(CommandAttribute.DEST)
_DEST = _DEST_TYPE | NESTED
_IPV4, _IPV6 = int(Family.IPV4), int(Family.IPV6)
_KEY = struct.Struct("=HH HHHxx HH16s HH2sxx")
_CONFIG = struct.Struct("=HHI HHI HHBxxx HH2sxx HHHxx HHI HHI")
_NEST_LENGTH = _KEY.size + _CONFIG.size


def encode_destination_key(key: DestinationKey) -> bytes:
    """Return the attribute that identifies a destination."""
    return _key(_KEY.size, key)


def encode_destination(key: DestinationKey, config: DestinationConfig) -> bytes:
    """Return the attribute that describes a destination completely."""
    return _key(_NEST_LENGTH, key) + _configuration(config)


def _key(length: int, key: DestinationKey) -> bytes:
    """Return the start of a DEST attribute of the given length: its header and the key."""
    address, port = key.address, PORT.pack(key.port)
    family = _IPV4 if address.version == 4 else _IPV6  # noqa: PLR2004
    # In one call: a tuple for each attribute, as below, takes twice the time.
    return _KEY.pack(
        length, _DEST, 6, _ADDR_FAMILY, family, 20, _ADDR, address.packed, 6, _PORT, port
    )


@latest
@functools.lru_cache(maxsize=4096)  # most destinations of a farm share one
def _configuration(config: DestinationConfig) -> bytes:
    tunnel = config.encapsulation or _PLAIN_TUNNEL
    return _CONFIG.pack(
        *(8, _FWD_METHOD, config.forwarding),
        *(8, _WEIGHT, config.weight),
        *(5, _TUN_TYPE, tunnel.type),
        *(6, _TUN_PORT, PORT.pack(tunnel.port)),
        *(6, _TUN_FLAGS, tunnel.flags),
        *(8, _U_THRESH, config.upper_threshold),
        *(8, _L_THRESH, config.lower_threshold),
    )


# struct formats of a destination's attributes; ports are in network byte order.
_KEY_FIELDS: Mapping[Path, str] = {
    (_DEST_TYPE, _ADDR_FAMILY): "H",
    (_DEST_TYPE, _ADDR): "16s",
    (_DEST_TYPE, _PORT): "2s",
}
_CONFIG_FIELDS: Mapping[Path, str] = {
    (_DEST_TYPE, _WEIGHT): "I",
    (_DEST_TYPE, _FWD_METHOD): "I",
    (_DEST_TYPE, _TUN_TYPE): "B",
    (_DEST_TYPE, _TUN_PORT): "2s",
    (_DEST_TYPE, _TUN_FLAGS): "H",
    (_DEST_TYPE, _U_THRESH): "I",
    (_DEST_TYPE, _L_THRESH): "I",
}
_COUNTER_FIELDS: Mapping[Path, str] = {
    **{(_DEST_TYPE, kind): "I" for kind in (_ACTIVE_CONNS, _INACT_CONNS, _PERSIST_CONNS)},
    **{(_DEST_TYPE, _STATS64, kind): "Q" for kind in COUNTERS},
}
_CONFIG_READER = ShapeReader(GENERIC_HEADER.size, {**_KEY_FIELDS, **_CONFIG_FIELDS})
_COUNTED_READER = ShapeReader(
    GENERIC_HEADER.size, {**_KEY_FIELDS, **_CONFIG_FIELDS, **_COUNTER_FIELDS}
)


def parse_destination(payload: bytes) -> tuple[DestinationKey, DestinationConfig]:
    """Decode a destination.

    An unknown forwarding method is decoded as bypass, which lvsctl never sets: so it differs from
    every desired one, and gets corrected in lvsctl's services.

    Raises:
        MalformedMessage: It is not a destination.
    """
    found = _CONFIG_READER.read(payload)
    if found is None:
        return _parse_destination(_destination_attributes(payload))
    family, address, port, weight, method, kind, tunnel_port, flags, upper, lower = found
    tunnel = (kind, int.from_bytes(tunnel_port, "big"), flags)
    return _key_of(family, address, port), _config(weight, method, tunnel, upper, lower)


def _parse_destination(attributes: Attributes) -> tuple[DestinationKey, DestinationConfig]:
    config = _config(
        number(U32, attributes, _WEIGHT, "a destination's weight"),
        number(U32, attributes, _FWD_METHOD, "a destination's forwarding method"),
        _parse_tunnel(attributes),
        number(U32, attributes, _U_THRESH, "a destination's upper threshold"),
        number(U32, attributes, _L_THRESH, "a destination's lower threshold"),
    )
    return _parse_key(attributes), config


def _parse_tunnel(attributes: Attributes) -> tuple[int, int, int]:
    if _TUN_TYPE not in attributes:  # kernels before 5.2 support IPIP only
        return (TunnelType.IPIP, 0, 0)
    return (
        number(U8, attributes, _TUN_TYPE, "a tunnel's type"),
        number(PORT, attributes, _TUN_PORT, "a tunnel's port"),
        number(U16, attributes, _TUN_FLAGS, "a tunnel's flags"),
    )


@functools.lru_cache(maxsize=4096)  # most destinations of a farm share one
def _config(
    weight: int, method: int, tunnel: tuple[int, int, int], upper: int, lower: int
) -> DestinationConfig:
    forwarding = _FORWARDING_METHODS.get(method & _FORWARDING_MASK, ForwardingMethod.BYPASS)
    encapsulation = _encapsulation(*tunnel) if forwarding is ForwardingMethod.TUNNEL else None
    return DestinationConfig(weight, forwarding, encapsulation, upper, lower)


def _encapsulation(kind: int, port: int, flags: int) -> Encapsulation | None:
    """Return the outer header, None if its type is unknown."""
    if kind not in TunnelType.__members__.values():
        return None
    return Encapsulation(TunnelType(kind), port, TunnelFlag(flags))


def parse_destination_counters(payload: bytes) -> tuple[DestinationKey, DestinationCounters]:
    """Decode the counters of a destination.

    Raises:
        MalformedMessage: It is not a destination.
    """
    key, (_, counters) = parse_counted_destination(payload)
    return key, counters


def parse_counted_destination(
    payload: bytes,
) -> tuple[DestinationKey, tuple[DestinationConfig, DestinationCounters]]:
    """Decode a destination with its counters.

    Raises:
        MalformedMessage: It is not a destination.
    """
    found = _COUNTED_READER.read(payload)
    if found is None:
        attributes = _destination_attributes(payload)
        key, config = _parse_destination(attributes)
        return key, (config, _parse_counters(attributes))
    family, address, port, weight, method, kind, tunnel_port, flags, upper, lower = found[:10]
    tunnel = (kind, int.from_bytes(tunnel_port, "big"), flags)
    config = _config(weight, method, tunnel, upper, lower)
    counters = DestinationCounters(Traffic(*found[13:]), *found[10:13])
    return _key_of(family, address, port), (config, counters)


def _parse_counters(attributes: Attributes) -> DestinationCounters:
    return DestinationCounters(
        parse_traffic(required(attributes, _STATS64, "64-bit counters (Linux 4.1)")),
        *(
            number(U32, attributes, kind, "a destination's connections")
            for kind in (_ACTIVE_CONNS, _INACT_CONNS, _PERSIST_CONNS)
        ),
    )


def _destination_attributes(payload: bytes) -> Attributes:
    outer = parse_attributes(payload, GENERIC_HEADER.size)
    return parse_attributes(required(outer, CommandAttribute.DEST, "a destination"))


def _parse_key(attributes: Attributes) -> DestinationKey:
    family = number(U16, attributes, _ADDR_FAMILY, "a destination's family")
    return DestinationKey(
        parse_address(family, required(attributes, _ADDR, "a destination's address")),
        number(PORT, attributes, _PORT, "a destination's port"),
    )


def _key_of(family: int, address: bytes, port: bytes) -> DestinationKey:
    return DestinationKey(
        IPv4Address(address[:4]) if family == _IPV4 else parse_address(family, address),
        int.from_bytes(port, "big"),
    )
