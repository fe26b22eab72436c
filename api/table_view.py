"""The kernel's table as a document. Pure."""

import functools
from collections.abc import Iterator, Sequence

from api.schemas.base import Json
from api.schemas.table import (
    KernelDestination,
    KernelPersistence,
    KernelService,
    TrafficDocument,
)
from lvsctl.director.reconcile.cycle import TableReading
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationCounters,
    DestinationKey,
    Encapsulation,
    ForwardingMethod,
    IpvsTable,
    Persistence,
    ServiceCounters,
    ServiceFlag,
    ServiceKey,
    Traffic,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.times import format_duration

FALLBACK_AND_PORT = {ServiceFlag.SCHED1: "fallback", ServiceFlag.SCHED2: "port"}
"""Flags of sh and mh; those of other schedulers are only numbered by ipvsadm."""

FORWARDING = {method: method.name.lower().replace("_", "-") for method in ForwardingMethod}

NO_TRAFFIC = ServiceCounters(Traffic(), {})
NO_COUNTERS = DestinationCounters(Traffic(), 0, 0, 0)


def table_document(reading: TableReading) -> Json:
    """Return the document of the table with its counters, ordered by key.

    Its services are generated lazily, as all of them take much memory.
    """
    timeouts = reading.timeouts
    return {
        "services": (
            _service(key, service, reading.counters.get(key, NO_TRAFFIC), reading.ours.get(key))
            for key, service in _ordered(reading.table)
        ),
        "probes": (
            _service(key, service, reading.counters.get(key, NO_TRAFFIC), None)
            for key, service in _ordered(reading.probes)
        ),
        "timeouts": {
            "tcp": format_duration(timeouts.tcp_s),
            "tcp_fin": format_duration(timeouts.tcp_fin_s),
            "udp": format_duration(timeouts.udp_s),
        },
    }


def _ordered(table: IpvsTable) -> Sequence[tuple[ServiceKey, VirtualService]]:
    return sorted(table.items(), key=lambda item: item[0].sort_key)


def _service(
    key: ServiceKey, service: VirtualService, counters: ServiceCounters, owner: str | None
) -> KernelService:
    document: KernelService = {
        "key": str(key),
        "family": str(key.family),
        "service": owner,
        "scheduler": service.config.scheduler,
        "flags": list(_flags(service.config)),
        "persistence": _persistence(service.config.persistence),
        "traffic": _traffic(counters.traffic),
        "destinations": [
            _destination(at, config, counters.destinations.get(at, NO_COUNTERS))
            for at, config in service.destinations.items()
        ],
    }
    if isinstance(key, AddressKey):
        return {
            **document,
            "protocol": str(key.protocol),
            "vip": str(key.vip),
            "port": key.port,
        }
    return {**document, "fwmark": key.mark}


def _persistence(value: Persistence | None) -> KernelPersistence | None:
    if value is None:
        return None
    return {
        "timeout": format_duration(value.timeout_s),
        "netmask": value.prefix_length,
        "engine": value.engine,
    }


def _flags(config: VirtualServiceConfig) -> Iterator[str]:
    if ServiceFlag.ONE_PACKET in config.flags:
        yield "ops"
    for number, flag in enumerate((ServiceFlag.SCHED1, ServiceFlag.SCHED2, ServiceFlag.SCHED3), 1):
        if flag in config.flags:
            known = FALLBACK_AND_PORT.get(flag) if config.scheduler in ("sh", "mh") else None
            yield f"{config.scheduler}-{known}" if known else f"flag-{number}"


def _destination(
    at: DestinationKey, config: DestinationConfig, counters: DestinationCounters
) -> KernelDestination:
    return {
        "address": str(at.address),
        "port": at.port,
        "weight": config.weight,
        "forwarding": FORWARDING[config.forwarding],
        "tunnel": _tunnel(config.encapsulation),
        "upper_threshold": config.upper_threshold,
        "lower_threshold": config.lower_threshold,
        "active_connections": counters.active_connections,
        "inactive_connections": counters.inactive_connections,
        "persistent_connections": counters.persistent_connections,
        "traffic": _traffic(counters.traffic),
    }


@functools.lru_cache(maxsize=1024)  # a farm has few distinct ones, but one per destination
def _tunnel(encapsulation: Encapsulation | None) -> str | None:
    return str(encapsulation) if encapsulation else None


def _traffic(traffic: Traffic) -> TrafficDocument:
    return {
        "connections": traffic.connections,
        "in_packets": traffic.in_packets,
        "out_packets": traffic.out_packets,
        "in_bytes": traffic.in_bytes,
        "out_bytes": traffic.out_bytes,
        "connections_per_s": traffic.connections_per_s,
        "in_packets_per_s": traffic.in_packets_per_s,
        "out_packets_per_s": traffic.out_packets_per_s,
        "in_bytes_per_s": traffic.in_bytes_per_s,
        "out_bytes_per_s": traffic.out_bytes_per_s,
    }
