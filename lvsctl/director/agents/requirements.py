"""What the farm requires of its agents' hosts. Pure."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lvsctl.farm.index import Index
from lvsctl.farm.model import Farm, PoolTunnel
from lvsctl.farm.status import Agent, Readiness
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class AgentRequirements:
    """Every agent's VIPs and tunnels.

    Attributes:
        farm: The farm.
        index: Index of the farm.
    """

    farm: Farm
    index: Index

    def vips(self, agent: Agent) -> AbstractSet[IPAddress]:
        """Return the VIPs of an agent's pools."""
        return frozenset(vip for pool in agent.pools for vip in self._vips(pool))

    def tunnels(self, agent: Agent) -> Collection[PoolTunnel]:
        """Return the tunnels of an agent's pools, including those that no service uses."""
        return [self._tunnel(pool, agent) for pool in agent.pools if pool in self.farm.pools]

    def readiness(self, agent: Agent) -> frozenset[Readiness]:
        """Return the VIPs that an agent's pools need, each with its encapsulation."""
        return frozenset(
            Readiness(vip, self._tunnel(pool, agent).encapsulation)
            for pool in agent.pools
            if pool in self.farm.pools
            for vip in self._vips(pool)
        )

    def _vips(self, pool: str) -> AbstractSet[IPAddress]:
        services = self.farm.services
        return {services[name].vip for name in self.index.users.get(pool, ())}

    def _tunnel(self, pool: str, agent: Agent) -> PoolTunnel:
        of_servers = self.index.own_tunnels.get(pool, {})
        return of_servers.get(agent.address, self.farm.pools[pool].tunnel)
