"""The part of the table that a cycle works towards, with what it must not take away yet. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lvsctl.agent.messages import Membership
from lvsctl.director.state import State
from lvsctl.farm import Farm
from lvsctl.ipvs_table import AddressKey, IPAddress, IpvsTable, ServiceKey, VirtualService
from lvsctl.plan import compile_service, members
from lvsctl.status import Readiness


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
    aim: Wanted, observed: IpvsTable, claims: Mapping[ServiceKey, str], state: State
) -> IpvsTable:
    """Return our services that the farm no longer names but that must serve a little longer.

    When a service gets another VIP, its agents need a moment to be ready for it. Until the new
    virtual service has a destination, the old one stays as it is; unless nothing is being waited
    for, as when the pool has become empty.
    """
    stale = {key: name for key, name in claims.items() if key in observed and key not in aim.table}
    waiting = {name for name in set(stale.values()) if _waits_for_agents(name, aim, state)}
    return {key: observed[key] for key, name in stale.items() if name in waiting}


def _waits_for_agents(name: str, aim: Wanted, state: State) -> bool:
    service = state.farm.services.get(name)
    if service is None:
        return False
    if all(aim.table[key].destinations for key, owner in aim.owners.items() if owner == name):
        return False
    pool = state.farm.pools[service.pool]
    return any(
        member.agent.membership is Membership.JOINED
        and Readiness(service.vip, pool.tunnel.type) not in member.agent.ready
        for member in members(pool, state.status)
        if member.agent
    )


def wanted_vips(farm: Farm, kept: Collection[ServiceKey]) -> frozenset[IPAddress]:
    """Return every VIP that should be local: the farm's, and those of services that are held."""
    return frozenset(service.vip for service in farm.services.values()) | {
        key.vip for key in kept if isinstance(key, AddressKey)
    }
