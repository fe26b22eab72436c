"""A virtual service as netlink attributes."""

import functools
import struct
from ipaddress import IPv4Address, IPv6Address

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.codec.commands import CommandAttribute
from lvsctl.ipvs.codec.traffic import parse_traffic
from lvsctl.ipvs.table import (
    AddressKey,
    FwmarkKey,
    Persistence,
    ServiceFlag,
    ServiceKey,
    Traffic,
    VirtualServiceConfig,
)
from lvsctl.latest import latest
from lvsctl.net import Family, IPAddress, IpProtocol
from lvsctl.netlink.attributes import (
    HEADER,
    NESTED,
    PORT,
    U16,
    U32,
    Attributes,
    attribute,
    number,
    parse_attributes,
    required,
    text,
)
from lvsctl.netlink.messages import GENERIC_HEADER

_AF, _PROTOCOL, _ADDR, _PORT, _FWMARK, _SCHED_NAME, _FLAGS, _TIMEOUT, _NETMASK = range(1, 10)
_STATS, _PE_NAME, _STATS64 = range(10, 13)

COUNTERS_OF_SERVICE = frozenset([_STATS, _STATS64])
"""Attributes that change by themselves."""

_F_PERSISTENT = 0x1
_SETTABLE_FLAGS = int(
    ServiceFlag.ONE_PACKET | ServiceFlag.SCHED1 | ServiceFlag.SCHED2 | ServiceFlag.SCHED3
)
_ALL_FLAGS = 0xFFFFFFFF
_NO_PREFIX = -1

_NEST = HEADER.pack
_SERVICE = CommandAttribute.SERVICE | NESTED
# Several attributes with headers and padding, packed in one call: ten times faster than one by
# one, and every destination carries its service's.
_ADDRESS_IDENTITY = struct.Struct("=HHHxx HHHxx HH16s HH2sxx")
_FWMARK_IDENTITY = struct.Struct("=HHHxx HHI")
_FLAGS_TIMEOUT_NETMASK = struct.Struct("=HHII HHI HH4s")


def _identity(key: ServiceKey) -> bytes:
    match key:
        case AddressKey(protocol=protocol, vip=vip, port=port):
            return _ADDRESS_IDENTITY.pack(
                *(6, _AF, Family.IPV4 if vip.version == 4 else Family.IPV6),  # noqa: PLR2004
                *(6, _PROTOCOL, protocol),
                *(20, _ADDR, vip.packed),
                *(6, _PORT, PORT.pack(port)),
            )
        case FwmarkKey(family=family, mark=mark):
            return _FWMARK_IDENTITY.pack(6, _AF, family, 8, _FWMARK, mark)


def _netmask(family: Family, prefix_length: int) -> bytes:
    if family is Family.IPV6:
        return U32.pack(prefix_length)
    return (0xFFFFFFFF << (32 - prefix_length) & 0xFFFFFFFF).to_bytes(4, "big")


@functools.lru_cache(maxsize=1024)  # most services of a farm share one
def _configuration(family: Family, config: VirtualServiceConfig) -> bytes:
    # The kernel requires timeout and netmask even of services without persistence.
    persistence = config.persistence or Persistence(0, family.bits)
    flags = config.flags | (_F_PERSISTENT if config.persistence else 0)
    engine = persistence.engine.encode("ascii")
    return b"".join(
        [
            attribute(_SCHED_NAME, config.scheduler.encode("ascii") + b"\0"),
            attribute(_PE_NAME, engine + b"\0") if engine else b"",
            _FLAGS_TIMEOUT_NETMASK.pack(
                *(12, _FLAGS, flags, _ALL_FLAGS),
                *(8, _TIMEOUT, persistence.timeout_s),
                *(8, _NETMASK, _netmask(family, persistence.prefix_length)),
            ),
        ]
    )


@latest  # every destination of a service carries it
@functools.lru_cache(maxsize=1024)
def encode_service_key(key: ServiceKey) -> bytes:
    """Return the attribute that identifies a service."""
    identity = _identity(key)
    return _NEST(len(identity) + 4, _SERVICE) + identity


def encode_service(key: ServiceKey, config: VirtualServiceConfig) -> bytes:
    """Return the attribute that describes a service completely."""
    described = _identity(key) + _configuration(key.family, config)
    return _NEST(len(described) + 4, _SERVICE) + described


def _address(family: Family, value: bytes) -> IPAddress:
    width = family.bits // 8
    if len(value) < width:
        raise MalformedMessage(f"an {family} address of {len(value)} bytes")
    packed = value[:width]
    return IPv4Address(packed) if family is Family.IPV4 else IPv6Address(packed)


def parse_address(family_number: int, value: bytes) -> IPAddress:
    """Decode an address from the kernel's ``union nf_inet_addr``.

    Raises:
        MalformedMessage: The family is unknown, or the value too short for it.
    """
    return _address(parse_address_family(family_number), value)


def parse_address_family(family_number: int) -> Family:
    """Return the address family of a number.

    Raises:
        MalformedMessage: It is neither IPv4 nor IPv6.
    """
    try:
        return Family(family_number)
    except ValueError:
        raise MalformedMessage(f"address family {family_number} is unknown") from None


def _parse_prefix_length(family: Family, attributes: Attributes) -> int:
    """Return the mask's length; -1, which equals no desired value, if it is not contiguous."""
    netmask = number(U32, attributes, _NETMASK, "a service's netmask")
    if family is Family.IPV6:
        return netmask
    length = netmask.bit_count()
    return length if _netmask(family, length) == U32.pack(netmask) else _NO_PREFIX


def _service_attributes(payload: bytes) -> Attributes:
    outer = parse_attributes(payload, GENERIC_HEADER.size)
    return parse_attributes(required(outer, CommandAttribute.SERVICE, "a service"))


def _parse_key(attributes: Attributes) -> ServiceKey | None:
    family = parse_address_family(number(U16, attributes, _AF, "a service's family"))
    if _FWMARK in attributes:
        return FwmarkKey(family, number(U32, attributes, _FWMARK, "a service's mark"))
    protocol = number(U16, attributes, _PROTOCOL, "a service's protocol")
    if protocol not in IpProtocol.__members__.values():
        return None
    return AddressKey(
        IpProtocol(protocol),
        _address(family, required(attributes, _ADDR, "a service's address")),
        number(PORT, attributes, _PORT, "a service's port"),
    )


def _parse_config(family: Family, attributes: Attributes) -> VirtualServiceConfig:
    flags = number(U32, attributes, _FLAGS, "a service's flags")
    persistence = None
    if flags & _F_PERSISTENT:
        persistence = Persistence(
            number(U32, attributes, _TIMEOUT, "a service's timeout"),
            _parse_prefix_length(family, attributes),
            text(attributes.get(_PE_NAME, b"")),
        )
    scheduler = text(required(attributes, _SCHED_NAME, "a service's scheduler"))
    return VirtualServiceConfig(scheduler, ServiceFlag(flags & _SETTABLE_FLAGS), persistence)


def parse_service(payload: bytes) -> tuple[ServiceKey, VirtualServiceConfig] | None:
    """Decode a service; None if its protocol is not one that IPVS balances.

    The kernel accepts services of any protocol, though no packet ever reaches those.

    Raises:
        MalformedMessage: It is not a service.
    """
    attributes = _service_attributes(payload)
    key = _parse_key(attributes)
    return (key, _parse_config(key.family, attributes)) if key else None


def parse_service_traffic(payload: bytes) -> tuple[ServiceKey, Traffic] | None:
    """Decode the counters of a service; None as for :func:`parse_service`.

    Raises:
        MalformedMessage: It is not a service.
    """
    counted = parse_counted_service(payload)
    return (counted[0], counted[1][1]) if counted else None


def parse_counted_service(
    payload: bytes,
) -> tuple[ServiceKey, tuple[VirtualServiceConfig, Traffic]] | None:
    """Decode a service with its counters; None as for :func:`parse_service`.

    Raises:
        MalformedMessage: It is not a service.
    """
    attributes = _service_attributes(payload)
    key = _parse_key(attributes)
    if key is None:
        return None
    traffic = parse_traffic(required(attributes, _STATS64, "64-bit counters (Linux 4.1)"))
    return key, (_parse_config(key.family, attributes), traffic)
