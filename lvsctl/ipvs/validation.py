"""Validates operations, so that their results do not depend on the backend.

The kernel checks little: over netlink it accepts a weight of 70000, a one-packet TCP service or a
tunnel destination on another port, all of which ipvsadm refuses or rewrites.
"""

import errno
import re
from ipaddress import IPv6Address

from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    ForwardingMethod,
    Operation,
    Persistence,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.latest import latest
from lvsctl.net import Family, IPAddress, IpProtocol, family_of
from lvsctl.results import Failed

MAX_PORT = 0xFFFF
MAX_MARK = 0xFFFFFFFF
MAX_WEIGHT = 0xFFFF  # ipvsadm's limit
MAX_THRESHOLD = 0x7FFFFFFF
MAX_TIMEOUT_S = 31 * 24 * 60 * 60  # ipvsadm's limit; the kernel overflows at 2**31 jiffies
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # 16 bytes with the final NUL
_TWO_FLAGS = {"sh", "mh"}
_WRITABLE = (ForwardingMethod.MASQUERADE, ForwardingMethod.TUNNEL, ForwardingMethod.DIRECT_ROUTE)
_SAME_PORT = (ForwardingMethod.TUNNEL, ForwardingMethod.DIRECT_ROUTE)
_TUNNEL_FLAGS = {
    TunnelType.IPIP: (TunnelFlag(0),),
    TunnelType.GUE: (TunnelFlag(0), TunnelFlag.CHECKSUM, TunnelFlag.REMOTE_CHECKSUM),
    TunnelType.GRE: (TunnelFlag(0), TunnelFlag.CHECKSUM),
}


def validate(operation: Operation) -> Failed | None:
    """Return why an operation is invalid for every backend, None if it is valid."""
    match operation:
        case AddDestination() | EditDestination():  # without patterns inside: there are many
            service = operation.service
            return _service_key(service) or _destination(service, operation.key, operation.config)
        case DeleteDestination(service, key):
            return _service_key(service) or _destination_key(key)
        case AddService(key=key, config=config) | EditService(key=key, config=config):
            return _service_key(key) or _service(key, config)
        case DeleteService(key):
            return _service_key(key)
        case SetTimeouts(timeouts):
            return _timeouts(timeouts)


@latest
def _service_key(key: ServiceKey) -> Failed | None:
    if isinstance(key, AddressKey):
        return _address(key.vip) or _out_of_range("port", key.port, 0, MAX_PORT)
    return _out_of_range("firewall mark", key.mark, 1, MAX_MARK)


def _service(key: ServiceKey, config: VirtualServiceConfig) -> Failed | None:
    if not _NAME.fullmatch(config.scheduler):
        return _invalid(f"{config.scheduler!r} cannot be the name of a scheduler")
    if config.scheduler in _TWO_FLAGS and ServiceFlag.SCHED3 in config.flags:
        return _invalid(f"the scheduler {config.scheduler} has no third flag")
    if config.persistence and (refused := _persistence(key.family, config.persistence)):
        return refused
    if isinstance(key, AddressKey):
        if not key.port and not config.persistence:
            return _invalid("port 0 (all ports) needs persistence")
        if ServiceFlag.ONE_PACKET in config.flags and key.protocol is not IpProtocol.UDP:
            return _invalid("one-packet scheduling works with UDP and firewall marks only")
    return None


def _persistence(family: Family, persistence: Persistence) -> Failed | None:
    shortest = 1 if family is Family.IPV6 else 0
    refused = _out_of_range(
        "persistence timeout", persistence.timeout_s, 1, MAX_TIMEOUT_S
    ) or _out_of_range("prefix length", persistence.prefix_length, shortest, family.bits)
    if refused:
        return refused
    if persistence.engine and not _NAME.fullmatch(persistence.engine):
        return _invalid(f"{persistence.engine!r} cannot be the name of a persistence engine")
    return None


def _destination_key(key: DestinationKey) -> Failed | None:
    return _address(key.address) or _out_of_range("destination port", key.port, 0, MAX_PORT)


def _destination(
    service: ServiceKey, key: DestinationKey, config: DestinationConfig
) -> Failed | None:
    refused = _destination_key(key) or _destination_config(config)
    if refused:
        return refused
    tunnelled = config.forwarding is ForwardingMethod.TUNNEL
    if not tunnelled and family_of(key.address) is not service.family:
        return _invalid("a destination of the other family needs the tunnel method")
    if (
        isinstance(service, AddressKey)
        and config.forwarding in _SAME_PORT
        and key.port != service.port
    ):
        return _invalid(
            f"destination port {key.port} differs from the service's port {service.port}, which "
            "packets keep"
        )
    return None


@latest  # most destinations of a farm share one
def _destination_config(config: DestinationConfig) -> Failed | None:
    refused = (
        _out_of_range("weight", config.weight, 0, MAX_WEIGHT)
        or _out_of_range("upper threshold", config.upper_threshold, 0, MAX_THRESHOLD)
        or _out_of_range("lower threshold", config.lower_threshold, 0, MAX_THRESHOLD)
    )
    if refused:
        return refused
    if config.forwarding not in _WRITABLE:
        return _invalid(f"forwarding method {config.forwarding.name} can only be set by the kernel")
    if (config.forwarding is ForwardingMethod.TUNNEL) != (config.encapsulation is not None):
        return _invalid("an encapsulation goes with the tunnel method, and only with it")
    return _encapsulation(config.encapsulation) if config.encapsulation else None


def _encapsulation(tunnel: Encapsulation) -> Failed | None:
    if tunnel.type is TunnelType.GUE:
        refused = _out_of_range("GUE port", tunnel.port, 1, MAX_PORT)
        if refused:
            return refused
    elif tunnel.port:
        return _invalid(f"{tunnel.type} has no port")
    if tunnel.flags not in _TUNNEL_FLAGS[tunnel.type]:
        return _invalid(f"{tunnel.type} does not support {tunnel.flags!r}")
    return None


def _timeouts(timeouts: Timeouts) -> Failed | None:
    return (
        _out_of_range("timeout", timeouts.tcp_s, 0, MAX_TIMEOUT_S)
        or _out_of_range("timeout", timeouts.tcp_fin_s, 0, MAX_TIMEOUT_S)
        or _out_of_range("timeout", timeouts.udp_s, 0, MAX_TIMEOUT_S)
    )


def _address(address: IPAddress) -> Failed | None:
    if isinstance(address, IPv6Address) and address.scope_id:
        return _invalid(f"{address} has a zone, which IPVS does not support")
    return None


def _out_of_range(what: str, value: int, lowest: int, highest: int) -> Failed | None:
    if lowest <= value <= highest:
        return None
    return Failed(errno.ERANGE, f"{what} {value} (allowed: {lowest} to {highest})")


def _invalid(message: str) -> Failed:
    return Failed(errno.EINVAL, message)
