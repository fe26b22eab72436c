"""Who uses what in a farm, kept as its objects change. Pure.

An index is a value. The next one shares with it whatever a change leaves as it was, and costs what
the change changes; its laws are in ``tests/unit/test_index.py``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lvsctl.farm.compile import service_keys
from lvsctl.farm.model import Farm, Pool, PoolTunnel, Service
from lvsctl.farm.objects import StoredObject
from lvsctl.farm.status import Agent
from lvsctl.ipvs.table import ServiceKey
from lvsctl.net import IPAddress

KeyT = TypeVar("KeyT")
ObjectT = TypeVar("ObjectT", Service, Pool, Agent)

Names = tuple[str, ...]
"""Of objects of one kind, sorted, each once."""

Change = tuple[StoredObject | None, StoredObject | None]
"""One object before and after; None where it is missing."""


@dataclass(frozen=True, slots=True)
class Index:
    """The objects of a farm by what they have to do with.

    Attributes:
        users: Services by the pool that they use.
        vips: Services by VIP.
        keys: Services by the keys of their virtual services; more than one only in a farm that
            breaks the rules.
        sorry_servers: Services by the address of their sorry server.
        declaring: Pools by the addresses of their declared servers.
        agents: Agents by their address.
        own_tunnels: Tunnels of servers that do not have their pool's, by pool and address.
        ports: How many virtual services each pool serves, where it serves any.
        servers: How many servers each pool declares, where it declares any.
        destinations: How many destinations the declared servers are in all of these.
    """

    users: Mapping[str, Names] = field(default_factory=dict)
    vips: Mapping[IPAddress, Names] = field(default_factory=dict)
    keys: Mapping[ServiceKey, Names] = field(default_factory=dict)
    sorry_servers: Mapping[IPAddress, Names] = field(default_factory=dict)
    declaring: Mapping[IPAddress, Names] = field(default_factory=dict)
    agents: Mapping[IPAddress, Names] = field(default_factory=dict)
    own_tunnels: Mapping[str, Mapping[IPAddress, PoolTunnel]] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    servers: Mapping[str, int] = field(default_factory=dict)
    destinations: int = 0

    def users_of(self, pools: Iterable[str]) -> frozenset[str]:
        """Return the names of the services that use any of some pools."""
        return frozenset(name for pool in pools for name in self.users.get(pool, ()))

    def serving(self, pool: str, vip: IPAddress) -> frozenset[str]:
        """Return the names of the services that a pool serves on a VIP."""
        return frozenset(self.vips.get(vip, ())).intersection(self.users.get(pool, ()))

    def after(self, changes: Collection[Change]) -> "Index":
        """Return the index once objects have changed, each named once."""
        services = _of_kind(Service, changes)
        pools = _of_kind(Pool, changes)
        agents = _of_kind(Agent, changes)
        ports = _counted(self.ports, services, lambda service: (service.pool, _ports(service)))
        servers = _counted(self.servers, pools, lambda pool: (pool.name, len(pool.real_servers)))
        affected = {each.name for change in pools for each in change if each}
        affected |= {each.pool for change in services for each in change if each}
        return Index(
            users=_regrouped(self.users, services, lambda service: (service.pool,)),
            vips=_regrouped(self.vips, services, lambda service: (service.vip,)),
            keys=_regrouped(self.keys, services, keys_of),
            sorry_servers=_regrouped(self.sorry_servers, services, _sorry_servers),
            declaring=_regrouped(self.declaring, pools, _addresses),
            agents=_regrouped(self.agents, agents, lambda agent: (agent.address,)),
            own_tunnels=_own_tunnels(self.own_tunnels, pools),
            ports=ports,
            servers=servers,
            destinations=self.destinations
            + sum(
                ports.get(pool, 0) * servers.get(pool, 0)
                - self.ports.get(pool, 0) * self.servers.get(pool, 0)
                for pool in affected
            ),
        )


def in_order(farm: Farm, services: Collection[str]) -> Sequence[str]:
    """Return names of services in the order of the farm, all of which is gone through."""
    return [name for name in farm.services if name in services]


def pools_of(value: StoredObject | None) -> Collection[str]:
    """Return the pools that an object has a part in; an override's are in its name."""
    match value:
        case Service(pool=pool):
            return (pool,)
        case Pool(name=name):
            return (name,)
        case Agent(pools=pools):
            return pools
        case _:
            return ()


def keys_of(service: Service) -> Collection[ServiceKey]:
    """Return the keys of a service's virtual services; none where it breaks the rules."""
    if service.fwmark is None and service.protocol is None:
        return ()
    return service_keys(service)


def _of_kind(
    kind: type[ObjectT], changes: Iterable[Change]
) -> Collection[tuple[ObjectT | None, ObjectT | None]]:
    return [
        (old if isinstance(old, kind) else None, new if isinstance(new, kind) else None)
        for old, new in changes
        if isinstance(old, kind) or isinstance(new, kind)
    ]


def _regrouped(
    groups: Mapping[KeyT, Names],
    changes: Collection[tuple[ObjectT | None, ObjectT | None]],
    keys: Callable[[ObjectT], Collection[KeyT]],
) -> Mapping[KeyT, Names]:
    """Return groups of names by key once objects have other keys; the same where none has."""
    left: dict[KeyT, set[str]] = {}
    joined: dict[KeyT, Names] = {}
    more: dict[KeyT, set[str]] = {}  # beside the one that is in joined
    for old, new in changes:
        before, after = _moved(old, new, keys)
        if old:
            for key in before:
                left.setdefault(key, set()).add(old.name)
        name = (new.name,) if new else ()
        for key in after:
            # Hashing an address is slow and most groups have one name, so this is done once.
            if joined.setdefault(key, name) is not name:
                more.setdefault(key, set()).update(name)
    if not left and not joined:
        return groups
    found = {**groups, **joined}
    in_both = groups.keys() & joined.keys()
    for key in left.keys() | more.keys() | in_both:
        stays = set(groups.get(key, ())) - left.get(key, set())
        names = stays.union(joined.get(key, ()), more.get(key, ()))
        if names:
            found[key] = tuple(sorted(names))
        else:
            del found[key]
    return found


def _moved(
    old: ObjectT | None, new: ObjectT | None, keys: Callable[[ObjectT], Collection[KeyT]]
) -> tuple[Collection[KeyT], Collection[KeyT]]:
    """Return the keys that only the old object has, and those that only the new one has."""
    before: Collection[KeyT] = keys(old) if old else ()
    after: Collection[KeyT] = keys(new) if new else ()
    if before and after:
        return frozenset(before).difference(after), frozenset(after).difference(before)
    return before, after


def _counted(
    counts: Mapping[str, int],
    changes: Collection[tuple[ObjectT | None, ObjectT | None]],
    part: Callable[[ObjectT], tuple[str, int]],
) -> Mapping[str, int]:
    """Return counts by pool once the objects that add to them have changed."""
    more: dict[str, int] = {}
    for change in changes:
        for each, sign in zip(change, (-1, 1), strict=True):
            if each:
                pool, count = part(each)
                more[pool] = more.get(pool, 0) + sign * count
    if not any(more.values()):
        return counts
    found = {**counts, **{pool: counts.get(pool, 0) + count for pool, count in more.items()}}
    for pool in more:
        if not found[pool]:
            del found[pool]
    return found


def _own_tunnels(
    tunnels: Mapping[str, Mapping[IPAddress, PoolTunnel]],
    changes: Collection[tuple[Pool | None, Pool | None]],
) -> Mapping[str, Mapping[IPAddress, PoolTunnel]]:
    gone = {old.name for old, _ in changes if old and old.name in tunnels}
    found = {
        new.name: own
        for _, new in changes
        if new and (own := {each.address: each.tunnel for each in new.real_servers if each.tunnel})
    }
    if not gone and not found:
        return tunnels
    then = {**tunnels, **found}
    for name in gone - found.keys():
        del then[name]
    return then


def _ports(service: Service) -> int:
    return max(1, len(service.ports))


def _sorry_servers(service: Service) -> Collection[IPAddress]:
    return (service.sorry_server,) if service.sorry_server else ()


def _addresses(pool: Pool) -> Collection[IPAddress]:
    return [server.address for server in pool.real_servers]
