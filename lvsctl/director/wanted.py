"""The part of the table that a cycle works towards, with what it must not take away yet. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lvsctl.agent.messages import Membership
from lvsctl.director.state import State
from lvsctl.farm import Farm, Service
from lvsctl.ipvs_table import AddressKey, IPAddress, IpvsTable, ServiceKey, VirtualService
from lvsctl.plan import compile_service, members, service_keys, usable_encapsulation


@dataclass(frozen=True, slots=True)
class Wanted:
    """What some services of the farm, or all, stand for.

    Attributes:
        table: Their virtual services.
        owners: The farm's service for each key.
    """

    table: IpvsTable
    owners: Mapping[ServiceKey, str]


def wanted(state: State, names: Collection[str]) -> Wanted:
    """Compile the services of ``names`` that the farm has."""
    table: dict[ServiceKey, VirtualService] = {}
    owners: dict[ServiceKey, str] = {}
    for name in names:
        service = state.farm.services.get(name)
        if service is None:
            continue
        part = compile_service(service, state.farm.pools[service.pool], state.status)
        table.update(part)
        owners.update(dict.fromkeys(part, name))
    return Wanted(table, owners)


def held(
    aim: Wanted,
    observed: IpvsTable,
    ours: Mapping[ServiceKey, str],
    state: State,
    vips_in_place: Collection[IPAddress],
) -> IpvsTable:
    """Return our services that the farm no longer names but that must serve a little longer.

    When a service gets another VIP or port, the old virtual service stays as it is until the new
    one is seen to serve; unless nothing could serve, as when the pool has become empty.

    Args:
        aim: The part of the table that is looked at, as it should be.
        observed: That part as it is.
        ours: Keys of ours in it, with the farm's service for each.
        state: The farm.
        vips_in_place: VIPs that are on this director, or that somebody else puts there.
    """

    def serves_or_never_will(key: ServiceKey, service: Service) -> bool:
        if key in ours and key in observed and observed[key].destinations:
            return True
        return not aim.table[key].destinations and not _waits_for_agents(service, state)

    def has_moved(service: Service) -> bool:
        return service.vip in vips_in_place and all(
            serves_or_never_will(key, service) for key in service_keys(service)
        )

    services = state.farm.services
    return {
        key: observed[key]
        for key, name in ours.items()
        if key in observed
        and key not in aim.table
        and name in services
        and not has_moved(services[name])
    }


def _waits_for_agents(service: Service, state: State) -> bool:
    pool = state.farm.pools[service.pool]
    return any(
        member.agent.membership is Membership.JOINED
        and usable_encapsulation(member, service.vip) is None
        for member in members(pool, state.status)
        if member.agent
    )


def vips_of(farm: Farm) -> frozenset[IPAddress]:
    """Return every VIP of a farm."""
    return frozenset(service.vip for service in farm.services.values())


def held_vips(kept: Collection[ServiceKey]) -> frozenset[IPAddress]:
    """Return every VIP of services that are held."""
    return frozenset(key.vip for key in kept if isinstance(key, AddressKey))
