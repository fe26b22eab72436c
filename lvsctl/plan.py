"""From the farm to the IPVS table, and from one table to another.

``compile_service`` says which virtual services and destinations a service of the farm stands
for, ``diff`` which operations lead from the table as it is to the table as it should be. Both are
pure; their laws are in ``tests/unit/test_plan.py``.
"""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lvsctl.farm import Farm, Pool, Service
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
    FwmarkKey,
    IPAddress,
    IpvsTable,
    Operation,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    VirtualService,
    VirtualServiceConfig,
    family_of,
)
from lvsctl.standing import SORRY_WEIGHT, ServiceStanding, service_standing
from lvsctl.status import Status

SERVICE_FLAGS: Mapping[str, ServiceFlag] = {
    "ops": ServiceFlag.ONE_PACKET,
    "sh-fallback": ServiceFlag.SCHED1,
    "sh-port": ServiceFlag.SCHED2,
    "mh-fallback": ServiceFlag.SCHED1,
    "mh-port": ServiceFlag.SCHED2,
}
"""The farm's names of flags, as in ipvsadm(8), and the kernel's bits."""


def service_keys(service: Service) -> Sequence[ServiceKey]:
    """Return the keys of the virtual services that a service stands for."""
    if service.fwmark is not None:
        return (FwmarkKey(family_of(service.vip), service.fwmark),)
    assert service.protocol is not None  # noqa: S101 - farm_rules: None only with a fwmark
    return tuple(AddressKey(service.protocol, service.vip, port) for port in service.ports)


def compile_service(service: Service, pool: Pool, status: Status) -> IpvsTable:
    """Return the part of the IPVS table that a service of the farm stands for."""
    return compile_standing(service, pool, service_standing(service, pool, status))


def compile_standing(service: Service, pool: Pool, stands: ServiceStanding) -> IpvsTable:
    """Return the part of the IPVS table that a service stands for, with servers as they stand.

    Destinations are in the order of their addresses: two directors that add them in one order
    have equal ``mh`` tables.
    """
    flags = ServiceFlag(0)
    for name in service.effective_flags:
        flags |= SERVICE_FLAGS[name]
    config = VirtualServiceConfig(service.scheduler, flags, service.persistence)
    destinations = [
        (
            member.address,
            _destination_config(
                part.weight, part.encapsulation, member.upper_threshold, member.lower_threshold
            ),
        )
        for member in stands.members
        if (part := stands.parts[member.id.server]).weight is not None
    ]
    if stands.sorry and service.sorry_server is not None:
        destinations.append(
            (
                service.sorry_server,
                DestinationConfig(SORRY_WEIGHT, encapsulation=pool.tunnel.encapsulation),
            )
        )
    destinations.sort(key=_by_address)
    table: dict[ServiceKey, VirtualService] = {}
    for key in service_keys(service):
        port = key.port if isinstance(key, AddressKey) else 0
        table[key] = VirtualService(
            config,
            {DestinationKey(address, port): destination for address, destination in destinations},
        )
    return table


@functools.lru_cache(maxsize=4096)  # most destinations of a farm have the same
def _destination_config(
    weight: int, encapsulation: Encapsulation | None, upper_threshold: int, lower_threshold: int
) -> DestinationConfig:
    return DestinationConfig(
        weight,
        encapsulation=encapsulation,
        upper_threshold=upper_threshold,
        lower_threshold=lower_threshold,
    )


def _by_address(destination: tuple[IPAddress, DestinationConfig]) -> tuple[int, int]:
    address = destination[0]
    return address.version, int(address)


def compile_farm(farm: Farm, status: Status) -> IpvsTable:
    """Return the IPVS table that a farm stands for: the union over its services."""
    table: dict[ServiceKey, VirtualService] = {}
    for service in farm.services.values():
        table.update(compile_service(service, farm.pools[service.pool], status))
    return table


@dataclass(frozen=True, slots=True)
class Plan:
    """What leads from one table to another.

    Attributes:
        operations: In the order in which they are to be done.
        conflicts: Wanted keys that stand already and are not ours.
        foreign: Keys that stand, are not ours and are not wanted.
    """

    operations: Sequence[Operation]
    conflicts: Sequence[ServiceKey]
    foreign: Sequence[ServiceKey]


def diff(wanted: IpvsTable, observed: IpvsTable, claimed: Collection[ServiceKey]) -> Plan:
    """Return what leads from ``observed`` to ``wanted``, touching only what is ours.

    New services come first and services no longer wanted last, so that a changed VIP serves
    before the old one is gone. Within a service destinations are added, then edited, then
    deleted: one that stays is never taken out, and there is never a moment with fewer servers
    than necessary.

    Args:
        wanted: The table as it should be.
        observed: The table as it is.
        claimed: Keys that are ours; every destination of such a service is.
    """
    added: list[Operation] = []
    edited: list[Operation] = []
    deleted: list[Operation] = []
    conflicts: list[ServiceKey] = []
    for key in sorted(wanted, key=lambda key: key.sort_key):
        if key not in observed:
            added += _add(key, wanted[key])
        elif key in claimed:
            edited += _edit(key, wanted[key], observed[key])
        else:
            conflicts.append(key)
    foreign: list[ServiceKey] = []
    for key in sorted(observed.keys() - wanted.keys(), key=lambda key: key.sort_key):
        if key in claimed:
            deleted.append(DeleteService(key))
        else:
            foreign.append(key)
    return Plan(added + edited + deleted, conflicts, foreign)


def _add(key: ServiceKey, service: VirtualService) -> Iterator[Operation]:
    yield AddService(key, service.config)
    for destination, config in service.destinations.items():
        yield AddDestination(key, destination, config)


def _edit(key: ServiceKey, wanted: VirtualService, observed: VirtualService) -> Iterator[Operation]:
    if wanted.config != observed.config:
        yield EditService(key, wanted.config)
    if wanted.destinations == observed.destinations:
        return
    for destination, config in wanted.destinations.items():
        if destination not in observed.destinations:
            yield AddDestination(key, destination, config)
    for destination, config in wanted.destinations.items():
        if destination in observed.destinations and observed.destinations[destination] != config:
            yield EditDestination(key, destination, config)
    for destination in observed.destinations:
        if destination not in wanted.destinations:
            yield DeleteDestination(key, destination)


def diff_timeouts(farm: Farm, observed: Timeouts) -> Sequence[SetTimeouts]:
    """Return what leads to the idle times of the farm; those it does not name stay."""
    settings = farm.settings
    wanted = Timeouts(
        settings.tcp_timeout_s or observed.tcp_s,
        settings.tcp_fin_timeout_s or observed.tcp_fin_s,
        settings.udp_timeout_s or observed.udp_s,
    )
    return () if wanted == observed else (SetTimeouts(wanted),)
