"""Validates only the part of a farm that changes affect. Pure.

Rules relate objects to each other by a service's pool, by an address (of a VIP, server, sorry
server, agent, or in use outside the farm), by the key of a virtual service, and by the kind of GRE
that a host accepts. So a farm that was valid before some objects changed is still valid if the
rules hold for these objects together with those that they are related to.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from lvsctl.farm.index import Index, keys_of
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules.farm import broken_rules
from lvsctl.farm.rules.table_size import MAX_DESTINATIONS
from lvsctl.farm.rules.tunnels import uses_gre
from lvsctl.farm.status import Agent, Status
from lvsctl.ipvs.table import TunnelType
from lvsctl.net import IPAddress

READ_BY_ALL = frozenset({Kind.DIRECTORS, Kind.SETTINGS})
"""Kinds of objects that the rules for all others depend on."""


def still_valid(
    farm: Farm,
    status: Status,
    index: Index,
    changed: Collection[ObjectId],
    *,
    taken: Mapping[IPAddress, str],
    changed_addresses: Collection[IPAddress],
) -> bool:
    """Tell whether a farm satisfies the rules, given that it did before objects changed.

    Args:
        farm: The changed farm.
        status: Status of its agents.
        index: Index of the changed farm.
        changed: The objects that changed.
        taken: As for :func:`lvsctl.farm.rules.farm.broken_rules`.
        changed_addresses: Addresses whose entry in ``taken`` changed.
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
        affected.add_addresses(changed_addresses)
        part = affected.farm()
        agents.extend(affected.agents())
    return next(broken_rules(part, taken, agents), None) is None


@dataclass
class _Affected:
    """Collects the objects that are related to changed ones.

    Attributes:
        services: Names of affected services.
        whole: Names of pools all of whose servers are affected.
        addresses: Addresses of affected servers in other pools, by pool.
        names: Names of affected servers in other pools, by pool.
        agent_names: Names of affected agents.
        tunnels: Whether declared tunnels are affected.
    """

    whole_farm: Farm
    status: Status
    index: Index
    services: set[str] = field(default_factory=set, init=False)
    whole: set[str] = field(default_factory=set, init=False)
    addresses: dict[str, set[IPAddress]] = field(default_factory=dict, init=False)
    names: dict[str, set[str]] = field(default_factory=dict, init=False)
    agent_names: set[str] = field(default_factory=set, init=False)
    tunnels: bool = field(default=False, init=False)

    def farm(self) -> Farm:
        """Return the affected part of the farm; its pools have only the affected servers."""
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
        """Return the affected agents."""
        return [self.status.agents[name] for name in self.agent_names]

    def _part_of(self, pool: Pool) -> Pool:
        addresses, names = self.addresses.get(pool.name, ()), self.names.get(pool.name, ())
        if not addresses and not names:
            return Pool(pool.name, pool.tunnel)
        servers = (s for s in pool.real_servers if s.address in addresses or s.name in names)
        return Pool(pool.name, pool.tunnel, tuple(servers))

    def add(self, object_id: ObjectId) -> None:
        """Add a changed object and those related to it."""
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
        self.add_addresses([service.vip])
        if service.sorry_server:
            self._add_vips([service.sorry_server])

    def _add_pool(self, pool: Pool) -> None:
        agents = self.status.agents_by_pool.get(pool.name, ())
        self.whole.add(pool.name)
        self.agent_names.update(agent.name for agent in agents)
        declared = [server.address for server in pool.real_servers]
        self._add_vips(declared)
        if uses_gre(pool):
            self._add_gre_hosts([*declared, *(agent.address for agent in agents)])

    def _add_agent(self, agent: Agent) -> None:
        self.agent_names.add(agent.name)
        self._add_vips([agent.address])
        pools = [pool for name in agent.pools if (pool := self.whole_farm.pools.get(name))]
        for pool in pools:
            self.addresses.setdefault(pool.name, set()).add(agent.address)
            self.names.setdefault(pool.name, set()).add(agent.name)
        gre = any(ready.tunnel.type is TunnelType.GRE for ready in agent.ready)
        if gre or any(map(uses_gre, pools)):
            self._add_gre_hosts([agent.address])

    def add_addresses(self, addresses: Iterable[IPAddress]) -> None:
        """Add every object that has one of these addresses."""
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
        """Add the objects that determine which GRE the hosts at these addresses accept."""
        for address in addresses:
            self._add_servers(address)
            for name in self.index.agents.get(address, ()):
                self.agent_names.add(name)
                for pool in self.status.agents[name].pools:
                    self.addresses.setdefault(pool, set()).add(address)
