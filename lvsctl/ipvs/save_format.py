"""Formats tables and operations as options of ipvsadm(8).

``ipvsadm -Sn`` prints what ``ipvsadm -R`` reads, with two exceptions: connection thresholds are
never printed, and firewall marks from 2**31 on are printed as negative numbers.
"""

import ctypes
from collections.abc import Mapping
from functools import cmp_to_key
from ipaddress import IPv4Network

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
    FwmarkKey,
    IpvsTable,
    Operation,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IPAddress, IpProtocol

SERVICE_OPTIONS: Mapping[IpProtocol, str] = {
    IpProtocol.TCP: "-t",
    IpProtocol.UDP: "-u",
    IpProtocol.SCTP: "--sctp-service",
}
FORWARDING_OPTIONS: Mapping[ForwardingMethod, str] = {
    ForwardingMethod.MASQUERADE: "-m",
    ForwardingMethod.LOCAL: "-g",
    ForwardingMethod.TUNNEL: "-i",
    ForwardingMethod.DIRECT_ROUTE: "-g",
    ForwardingMethod.BYPASS: "(null)",
}
TUNNEL_FLAG_OPTIONS: Mapping[TunnelFlag, str] = {
    TunnelFlag(0): "--tun-nocsum",
    TunnelFlag.CHECKSUM: "--tun-csum",
    TunnelFlag.REMOTE_CHECKSUM: "--tun-remcsum",
}
_FLAGS_OF: Mapping[str, Mapping[str, ServiceFlag]] = {
    "sh": {"sh-fallback": ServiceFlag.SCHED1, "sh-port": ServiceFlag.SCHED2},
    "mh": {"mh-fallback": ServiceFlag.SCHED1, "mh-port": ServiceFlag.SCHED2},
}
_FLAGS_OF_OTHERS = {
    "flag-1": ServiceFlag.SCHED1,
    "flag-2": ServiceFlag.SCHED2,
    "flag-3": ServiceFlag.SCHED3,
}


def scheduler_flags(scheduler: str) -> Mapping[str, ServiceFlag]:
    """Return a scheduler's flags by name, in the order in which ipvsadm prints them."""
    return _FLAGS_OF.get(scheduler, _FLAGS_OF_OTHERS)


def _endpoint(address: IPAddress, port: int) -> str:
    return str(DestinationKey(address, port))


def service_arguments(key: ServiceKey) -> list[str]:
    """Return the options that identify a service."""
    match key:
        case AddressKey(protocol=protocol, vip=vip, port=port):
            return [SERVICE_OPTIONS[protocol], _endpoint(vip, port)]
        case FwmarkKey(family=family, mark=mark):
            return ["-f", str(mark), *(["-6"] if family is Family.IPV6 else [])]


def _service_config_arguments(family: Family, config: VirtualServiceConfig) -> list[str]:
    arguments = ["-s", config.scheduler]
    if persistence := config.persistence:
        arguments += ["-p", str(persistence.timeout_s)]
        if persistence.prefix_length != family.bits:
            arguments += ["-M", _netmask(family, persistence.prefix_length)]
        if persistence.engine:
            arguments += ["--pe", persistence.engine]
    if ServiceFlag.ONE_PACKET in config.flags:
        arguments.append("-o")
    names = [
        name for name, flag in scheduler_flags(config.scheduler).items() if flag in config.flags
    ]
    return arguments + (["-b", ",".join(names)] if names else [])


def _netmask(family: Family, prefix_length: int) -> str:
    if family is Family.IPV6:
        return str(prefix_length)
    return str(IPv4Network((0, prefix_length)).netmask)


def _destination_config_arguments(config: DestinationConfig) -> list[str]:
    arguments = [FORWARDING_OPTIONS[config.forwarding], "-w", str(config.weight)]
    return arguments + (_tunnel_arguments(config.encapsulation) if config.encapsulation else [])


def _tunnel_arguments(tunnel: Encapsulation) -> list[str]:
    arguments = ["--tun-type", str(tunnel.type)]
    if tunnel.type is TunnelType.GUE:
        arguments += ["--tun-port", str(tunnel.port)]
    if tunnel.type is not TunnelType.IPIP:
        arguments.append(TUNNEL_FLAG_OPTIONS[tunnel.flags])
    return arguments


def _threshold_arguments(config: DestinationConfig) -> list[str]:
    return ["-x", str(config.upper_threshold), "-y", str(config.lower_threshold)]


def operation_arguments(operation: Operation) -> list[str]:
    """Return the arguments with which ipvsadm carries out an operation."""
    match operation:
        case AddService(key, config):
            return ["-A", *service_arguments(key), *_service_config_arguments(key.family, config)]
        case EditService(key, config):
            return ["-E", *service_arguments(key), *_service_config_arguments(key.family, config)]
        case DeleteService(key):
            return ["-D", *service_arguments(key)]
        case AddDestination(service, destination, destination_config):
            return _destination_arguments("-a", service, destination, destination_config)
        case EditDestination(service, destination, destination_config):
            return _destination_arguments("-e", service, destination, destination_config)
        case DeleteDestination(service, destination):
            return ["-d", *service_arguments(service), "-r", str(destination)]
        case SetTimeouts(Timeouts(tcp_s, tcp_fin_s, udp_s)):
            return ["--set", str(tcp_s), str(tcp_fin_s), str(udp_s)]


def _destination_arguments(
    command: str, service: ServiceKey, key: DestinationKey, config: DestinationConfig
) -> list[str]:
    return [
        *(command, *service_arguments(service), "-r", str(key)),
        *_destination_config_arguments(config),
        *_threshold_arguments(config),
    ]


def format_table(table: IpvsTable) -> str:
    """Return a table as ``ipvsadm -Sn`` prints it."""
    lines = []
    for key in sorted(table, key=cmp_to_key(_compare_services)):
        service = table[key]
        name = _printed(key)
        lines.append(["-A", *name, *_service_config_arguments(key.family, service.config)])
        lines += [
            ["-a", *name, "-r", str(destination), *_destination_config_arguments(config)]
            for destination, config in sorted(
                service.destinations.items(), key=lambda item: item[0].sort_key
            )
        ]
    return "".join(" ".join(line) + "\n" for line in lines)


def _printed(key: ServiceKey) -> list[str]:
    if isinstance(key, FwmarkKey):
        return service_arguments(FwmarkKey(key.family, _int32(key.mark)))
    return service_arguments(key)


def _compare_services(one: ServiceKey, other: ServiceKey) -> int:
    """Compare as ipvsadm does: it subtracts marks and addresses as 32-bit integers, which wrap."""
    pairs = zip(_order(one), _order(other), strict=False)
    return next((_int32(mine - theirs) for mine, theirs in pairs if mine != theirs), 0)


def _order(key: ServiceKey) -> tuple[int, ...]:
    match key:
        case FwmarkKey(family=family, mark=mark):
            return (mark, family)
        case AddressKey(protocol=protocol, vip=vip, port=port):
            packed = vip.packed
            words = (int.from_bytes(packed[at : at + 4], "big") for at in range(0, len(packed), 4))
            return (0, key.family, protocol, *words, port)


def _int32(value: int) -> int:
    return ctypes.c_int32(value).value
