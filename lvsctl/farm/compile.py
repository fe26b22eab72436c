"""From the farm to the IPVS table: which virtual services a service is. Pure.

Its properties are in ``tests/unit/ipvs/test_diff.py``.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

from lvsctl.farm.members import SORRY_WEIGHT, ServerState, ServiceState, service_state
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.farm.status import Status
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationKey,
    FwmarkKey,
    IpvsTable,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.latest import latest
from lvsctl.net import IPAddress, family_of

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
    assert service.protocol is not None  # noqa: S101 - farm.rules: None only with a fwmark
    return tuple(AddressKey(service.protocol, service.vip, port) for port in service.ports)


def compile_service(service: Service, pool: Pool, status: Status) -> IpvsTable:
    """Return the part of the IPVS table that a service of the farm stands for."""
    return compile_state(service, pool, service_state(service, pool, status))


def compile_state(service: Service, pool: Pool, stands: ServiceState) -> IpvsTable:
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
            _destination_config(part)(member.upper_threshold, member.lower_threshold),
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


@latest
@functools.lru_cache(maxsize=1024)
def _destination_config(part: ServerState) -> Callable[[int, int], DestinationConfig]:
    """Return what makes the configuration of a destination by its server's thresholds.

    Most destinations of a farm share one.
    """
    weight = part.weight
    assert weight is not None  # noqa: S101 - it is in the table

    def config(upper_threshold: int, lower_threshold: int) -> DestinationConfig:
        return DestinationConfig(
            weight,
            encapsulation=part.encapsulation,
            upper_threshold=upper_threshold,
            lower_threshold=lower_threshold,
        )

    return functools.lru_cache(maxsize=1024)(config)


def _by_address(destination: tuple[IPAddress, DestinationConfig]) -> tuple[int, int]:
    address = destination[0]
    return address.version, int(address)


def compile_farm(farm: Farm, status: Status) -> IpvsTable:
    """Return the IPVS table that a farm stands for: the union over its services."""
    table: dict[ServiceKey, VirtualService] = {}
    for service in farm.services.values():
        table.update(compile_service(service, farm.pools[service.pool], status))
    return table


def diff_timeouts(farm: Farm, observed: Timeouts) -> Sequence[SetTimeouts]:
    """Return what leads to the idle times of the farm; those it does not name stay."""
    settings = farm.settings
    wanted = Timeouts(
        settings.tcp_timeout_s or observed.tcp_s,
        settings.tcp_fin_timeout_s or observed.tcp_fin_s,
        settings.udp_timeout_s or observed.udp_s,
    )
    return () if wanted == observed else (SetTimeouts(wanted),)
