"""What no backend passes on, because the wire, ipvsadm or the kernel cannot mean it.

The kernel checks little: over netlink it takes a weight of 70000, a one-packet TCP service or a
tunnel destination on another port, which ipvsadm refuses or rewrites. Refused here, an operation
has one result whichever backend carries it out.
"""

import errno
import re
from collections.abc import Iterable

from lvsctl.ipvs_table import (
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
    Family,
    ForwardingMethod,
    FwmarkKey,
    IPAddress,
    IpProtocol,
    Operation,
    Persistence,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
    family_of,
)
from lvsctl.results import Failed

MAX_PORT = 0xFFFF
MAX_MARK = 0xFFFFFFFF
MAX_WEIGHT = 0xFFFF  # of ipvsadm
MAX_THRESHOLD = 0x7FFFFFFF
MAX_TIMEOUT_S = 31 * 24 * 60 * 60  # of ipvsadm; the kernel's own overflows at 2**31 ticks
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # 16 bytes with the final NUL
_TWO_FLAGS = {"sh", "mh"}
_WRITABLE = {ForwardingMethod.MASQUERADE, ForwardingMethod.TUNNEL, ForwardingMethod.DIRECT_ROUTE}
_SAME_PORT = {ForwardingMethod.TUNNEL, ForwardingMethod.DIRECT_ROUTE}
_TUNNEL_FLAGS = {
    TunnelType.IPIP: {TunnelFlag(0)},
    TunnelType.GUE: {TunnelFlag(0), TunnelFlag.CHECKSUM, TunnelFlag.REMOTE_CHECKSUM},
    TunnelType.GRE: {TunnelFlag(0), TunnelFlag.CHECKSUM},
}

Refusals = Iterable[Failed]


def _invalid(message: str) -> Failed:
    return Failed(errno.EINVAL, message)


def _out_of_range(what: str, value: int, lowest: int, highest: int) -> Refusals:
    if lowest <= value <= highest:
        return ()
    return (Failed(errno.ERANGE, f"{what} {value} (allowed: {lowest} to {highest})"),)


def _address(address: IPAddress) -> Refusals:
    if address.version == 6 and address.scope_id:  # noqa: PLR2004
        return (_invalid(f"{address} has a zone, which IPVS does not know"),)
    return ()


def _service_key(key: ServiceKey) -> Refusals:
    match key:
        case AddressKey(vip=vip, port=port):
            yield from _address(vip)
            yield from _out_of_range("port", port, 0, MAX_PORT)
        case FwmarkKey(mark=mark):
            yield from _out_of_range("firewall mark", mark, 1, MAX_MARK)


def _persistence(family: Family, persistence: Persistence) -> Refusals:
    yield from _out_of_range("persistence timeout", persistence.timeout_s, 1, MAX_TIMEOUT_S)
    shortest = 1 if family is Family.IPV6 else 0
    yield from _out_of_range("prefix length", persistence.prefix_length, shortest, family.bits)
    if persistence.engine and not _NAME.fullmatch(persistence.engine):
        yield _invalid(f"no persistence engine can be named {persistence.engine!r}")


def _service(key: ServiceKey, config: VirtualServiceConfig) -> Refusals:
    yield from _service_key(key)
    if not _NAME.fullmatch(config.scheduler):
        yield _invalid(f"no scheduler can be named {config.scheduler!r}")
    if config.scheduler in _TWO_FLAGS and ServiceFlag.SCHED3 in config.flags:
        yield _invalid(f"the scheduler {config.scheduler} has no third flag")
    if config.persistence:
        yield from _persistence(key.family, config.persistence)
    if isinstance(key, AddressKey):
        if not key.port and not config.persistence:
            yield _invalid("port 0, which is every port, needs persistence")
        if ServiceFlag.ONE_PACKET in config.flags and key.protocol is not IpProtocol.UDP:
            yield _invalid("one-packet scheduling is for UDP and firewall marks only")


def _destination_key(key: DestinationKey) -> Refusals:
    yield from _address(key.address)
    yield from _out_of_range("destination port", key.port, 0, MAX_PORT)


def _encapsulation(tunnel: Encapsulation) -> Refusals:
    if tunnel.type is TunnelType.GUE:
        yield from _out_of_range("GUE port", tunnel.port, 1, MAX_PORT)
    elif tunnel.port:
        yield _invalid(f"{tunnel.type} has no port")
    if tunnel.flags not in _TUNNEL_FLAGS[tunnel.type]:
        yield _invalid(f"{tunnel.type} does not know {tunnel.flags!r}")


def _destination(service: ServiceKey, key: DestinationKey, config: DestinationConfig) -> Refusals:
    yield from _destination_key(key)
    yield from _out_of_range("weight", config.weight, 0, MAX_WEIGHT)
    yield from _out_of_range("upper threshold", config.upper_threshold, 0, MAX_THRESHOLD)
    yield from _out_of_range("lower threshold", config.lower_threshold, 0, MAX_THRESHOLD)
    if config.forwarding not in _WRITABLE:
        yield _invalid(f"forwarding {config.forwarding.name} is the kernel's own choice")
    tunnelled = config.forwarding is ForwardingMethod.TUNNEL
    if tunnelled != (config.encapsulation is not None):
        yield _invalid("the tunnel method, and no other, needs an encapsulation")
    if config.encapsulation:
        yield from _encapsulation(config.encapsulation)
    if not tunnelled and family_of(key.address) is not service.family:
        yield _invalid("a destination of the other family needs the tunnel method")
    if (
        isinstance(service, AddressKey)
        and config.forwarding in _SAME_PORT
        and key.port != service.port
    ):
        yield _invalid(f"packets keep the service's port {service.port}, {key.port} is another")


def _timeouts(timeouts: Timeouts) -> Refusals:
    for value in (timeouts.tcp_s, timeouts.tcp_fin_s, timeouts.udp_s):
        yield from _out_of_range("timeout", value, 0, MAX_TIMEOUT_S)


def _refusals(operation: Operation) -> Refusals:
    match operation:
        case AddDestination(service, key, config) | EditDestination(service, key, config):
            yield from _service_key(service)
            yield from _destination(service, key, config)
        case DeleteDestination(service, key):
            yield from _service_key(service)
            yield from _destination_key(key)
        case AddService(key=key, config=config) | EditService(key=key, config=config):
            yield from _service(key, config)
        case DeleteService(key):
            yield from _service_key(key)
        case SetTimeouts(timeouts):
            yield from _timeouts(timeouts)


def refusal(operation: Operation) -> Failed | None:
    """Return why an operation cannot be sent to any kernel; None where it can."""
    return next(iter(_refusals(operation)), None)
