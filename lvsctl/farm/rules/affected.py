"""The part of a farm that changes bear on. Pure.

The rules relate objects to each other: by the pool that a service uses, by an address that is a
VIP, a server's, a sorry server's, an agent's or in use outside the farm, by the key of a virtual
service, and by the sort of GRE that a host accepts. So where a farm kept to the rules, and then
some objects changed, it still does where the rules hold for these objects together with what they
are related to.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from lvsctl.farm.index import Index, keys_of
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules.farm import broken_rules
from lvsctl.farm.rules.table_size import MAX_DESTINATIONS
from lvsctl.farm.rules.tunnels import takes_gre
from lvsctl.farm.status import Agent, Status
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import IPAddress

READ_BY_ALL = frozenset({Kind.DIRECTORS, Kind.SETTINGS})
"""Objects of these kinds bear on every other."""


def still_valid(
    farm: Farm,
    status: Status,
    index: Index,
    changed: Collection[ObjectId],
    *,
    taken: Mapping[IPAddress, str],
    changed_addresses: Collection[IPAddress],
) -> bool:
    """Say whether a farm keeps to the rules, given that it did before objects changed.

    Args:
        farm: The farm as it is to be.
        status: Its agents.
        index: Of that farm.
        changed: The objects that differ from before.
        taken: As for :func:`lvsctl.farm.rules.farm.broken_rules`.
        changed_addresses: Addresses that are or were in ``taken`` with another meaning before.
    """
    if index.destinations > MAX_DESTINATIONS:
        return False
    part, agents = farm, list[Agent]()
    most = len(changed) * 2 > len(farm.services) + len(farm.pools)
    if most or any(object_id.kind in READ_BY_ALL for object_id in changed):
        agents.extend(status.agents.values())
    else:
        affected = _Affected(farm, status, index)
        for object_id in changed:
            affected.add(object_id)
        affected.add_meanings(changed_addresses)
        part = affected.farm()
        agents.extend(affected.agents())
    return next(broken_rules(part, taken, agents), None) is None


@dataclass
class _Affected:
    """Gathers what is related to changed objects.

    Attributes:
        whole: Names of pools of which every server is affected.
        addresses: Of the servers that are affected in other pools, by pool.
        names: Of such servers, by pool.
    """

    whole_farm: Farm
    status: Status
    index: Index
    services: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    addresses: dict[str, set[IPAddress]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    agent_names: set[str] = field(default_factory=set)
    tunnels: bool = False

    def farm(self) -> Farm:
        """Return the part of the farm; a pool in it has the servers that are affected."""
        services = {name: self.whole_farm.services[name] for name in self.services}
        pools = self.whole | self.addresses.keys() | {each.pool for each in services.values()}
        return replace(
            self.whole_farm,
            services=services,
            pools={
                name: pool if name in self.whole else self._part_of(pool)
                for name in pools
                if (pool := self.whole_farm.pools.get(name))
            },
            tunnels=self.whole_farm.tunnels if self.tunnels else {},
        )

    def agents(self) -> Collection[Agent]:
        """Return the agents that are affected."""
        return [self.status.agents[name] for name in self.agent_names]

    def _part_of(self, pool: Pool) -> Pool:
        addresses, names = self.addresses.get(pool.name, ()), self.names.get(pool.name, ())
        if not addresses and not names:
            return Pool(pool.name, pool.tunnel)
        servers = (s for s in pool.real_servers if s.address in addresses or s.name in names)
        return Pool(pool.name, pool.tunnel, tuple(servers))

    def add(self, object_id: ObjectId) -> None:
        """Add a changed object, and what it is related to."""
        name = object_id.name
        match object_id.kind:
            case Kind.SERVICE if service := self.whole_farm.services.get(name):
                self._add_service(service)
            case Kind.POOL:
                self.services.update(self.index.users.get(name, ()))
                if pool := self.whole_farm.pools.get(name):
                    self._add_pool(pool)
            case Kind.AGENT if agent := self.status.agents.get(name):
                self._add_agent(agent)
            case Kind.TUNNEL:
                self.tunnels = True
            case _:
                pass

    def _add_service(self, service: Service) -> None:
        self.services.add(service.name)
        self.whole.add(service.pool)
        for key in keys_of(service):
            self.services.update(self.index.keys.get(key, ()))
        self.add_meanings([service.vip])
        if service.sorry_server:
            self._add_vips([service.sorry_server])

    def _add_pool(self, pool: Pool) -> None:
        agents = self.status.agents_by_pool.get(pool.name, ())
        self.whole.add(pool.name)
        self.agent_names.update(agent.name for agent in agents)
        declared = [server.address for server in pool.real_servers]
        self._add_vips(declared)
        if takes_gre(pool):
            self._add_gre_hosts([*declared, *(agent.address for agent in agents)])

    def _add_agent(self, agent: Agent) -> None:
        self.agent_names.add(agent.name)
        self._add_vips([agent.address])
        pools = [pool for name in agent.pools if (pool := self.whole_farm.pools.get(name))]
        for pool in pools:
            self.addresses.setdefault(pool.name, set()).add(agent.address)
            self.names.setdefault(pool.name, set()).add(agent.name)
        gre = any(ready.tunnel.type is TunnelType.GRE for ready in agent.ready)
        if gre or any(map(takes_gre, pools)):
            self._add_gre_hosts([agent.address])

    def add_meanings(self, addresses: Iterable[IPAddress]) -> None:
        """Add all that has one of some addresses."""
        for address in addresses:
            self._add_vips([address])
            self.services.update(self.index.sorry_servers.get(address, ()))
            self.agent_names.update(self.index.agents.get(address, ()))
            self._add_servers(address)

    def _add_vips(self, addresses: Iterable[IPAddress]) -> None:
        for address in addresses:
            self.services.update(self.index.vips.get(address, ()))

    def _add_servers(self, address: IPAddress) -> None:
        for name in self.index.declaring.get(address, ()):
            self.addresses.setdefault(name, set()).add(address)

    def _add_gre_hosts(self, addresses: Iterable[IPAddress]) -> None:
        """Add whatever says what the hosts at some addresses accept."""
        for address in addresses:
            self._add_servers(address)
            for name in self.index.agents.get(address, ()):
                self.agent_names.add(name)
                for pool in self.status.agents[name].pools:
                    self.addresses.setdefault(pool, set()).add(address)
