"""The part of the table that a cycle works towards, with what it must not take away yet. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lvsctl.director.state import State
from lvsctl.farm.compile import compile_state, service_keys
from lvsctl.farm.members import ServiceState, members, service_state, usable_encapsulation
from lvsctl.farm.model import Farm, Service
from lvsctl.health.target import TargetId
from lvsctl.health.weights import ASSUMED_HEALTHY, Health
from lvsctl.ipvs.table import AddressKey, IpvsTable, ServiceKey, VirtualService
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Desired:
    """What some services of the farm, or all, stand for.

    Attributes:
        table: Their virtual services.
        owners: The farm's service for each key.
        states: How the pool of each service serves it.
    """

    table: IpvsTable
    owners: Mapping[ServiceKey, str]
    states: Mapping[str, ServiceState]


def compile_desired(state: State, names: Collection[str]) -> Desired:
    """Compile the services of ``names`` that the farm has."""
    table: dict[ServiceKey, VirtualService] = {}
    owners: dict[ServiceKey, str] = {}
    states: dict[str, ServiceState] = {}
    for name in names:
        service = state.farm.services.get(name)
        if service is None:
            continue
        pool = state.farm.pools[service.pool]
        states[name] = service_state(service, pool, state.status)
        part = compile_state(service, pool, states[name])
        table.update(part)
        owners.update(dict.fromkeys(part, name))
    return Desired(table, owners, states)


def desired_keys(state: State, names: Collection[str]) -> frozenset[ServiceKey]:
    """Return the keys of the services of ``names`` that the farm has."""
    services = state.farm.services
    return frozenset(
        key for name in names if name in services for key in service_keys(services[name])
    )


def assumed_healthy(
    state: State, names: Collection[str], observed: IpvsTable
) -> Mapping[TargetId, Health]:
    """Return the health of servers that serve in the kernel and were never checked.

    A director that is started in a serving farm, or a pool that gets its first check, must not take
    out what serves for want of a verdict.
    """
    found: dict[TargetId, Health] = {}
    for name in names:
        service = state.farm.services.get(name)
        pool = state.farm.pools[service.pool] if service else None
        if service is None or pool is None or not pool.health_checks:
            continue
        serving = {
            destination.address
            for key in service_keys(service)
            if key in observed
            for destination, config in observed[key].destinations.items()
            if config.weight
        }
        for member in members(pool, state.status) if serving else ():
            target = TargetId(pool.name, member.id.server, service.vip)
            if target not in state.status.health and member.address in serving:
                found[target] = ASSUMED_HEALTHY
    return found


def held(
    desired: Desired,
    observed: IpvsTable,
    ours: Mapping[ServiceKey, str],
    state: State,
    is_in_place: Callable[[IPAddress], bool],
) -> IpvsTable:
    """Return our services that the farm no longer names but that must serve a little longer.

    When a service gets another VIP or port, the old virtual service stays as it is until the new
    one is seen to serve; unless nothing could serve, as when the pool has become empty.

    Args:
        desired: The part of the table that was observed, as it should be.
        observed: That part as it is.
        ours: Our keys in it, with the farm's service for each.
        state: The farm.
        is_in_place: Tells whether a VIP is on this director, or left to whoever manages it.
    """

    def serves_or_never_will(key: ServiceKey, service: Service) -> bool:
        if key in ours and key in observed and observed[key].destinations:
            return True
        waits = _waits_for_agents(service, state) or _waits_for_checks(desired.states[service.name])
        return not desired.table[key].destinations and not waits

    def has_moved(service: Service) -> bool:
        return is_in_place(service.vip) and all(
            serves_or_never_will(key, service) for key in service_keys(service)
        )

    services = state.farm.services
    return {
        key: observed[key]
        for key, name in ours.items()
        if key in observed
        and key not in desired.table
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


def _waits_for_checks(state: ServiceState) -> bool:
    return any(part.unchecked for part in state.parts.values())


def vips_of(farm: Farm) -> frozenset[IPAddress]:
    """Return every VIP of a farm."""
    return frozenset(service.vip for service in farm.services.values())


def held_vips(kept: Collection[ServiceKey]) -> frozenset[IPAddress]:
    """Return every VIP of services that are held."""
    return frozenset(key.vip for key in kept if isinstance(key, AddressKey))
