"""What the farm needs of the hosts of its agents. Pure."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from lvsctl.farm.model import Farm, PoolTunnel
from lvsctl.farm.status import Agent, Readiness
from lvsctl.net import IPAddress


class AgentRequirements:
    """Every agent's VIPs and tunnels; a farm is gone through once for all agents.

    Args:
        farm: The farm.
    """

    def __init__(self, farm: Farm) -> None:
        self._vips: dict[str, set[IPAddress]] = {}
        for service in farm.services.values():
            self._vips.setdefault(service.pool, set()).add(service.vip)
        self._tunnels = {
            pool.name: (
                pool.tunnel,
                {server.address: server.tunnel for server in pool.real_servers if server.tunnel},
            )
            for pool in farm.pools.values()
        }

    def vips(self, agent: Agent) -> AbstractSet[IPAddress]:
        """Return the VIPs of an agent's pools."""
        return frozenset().union(*(self._vips.get(pool, ()) for pool in agent.pools))

    def tunnels(self, agent: Agent) -> Collection[PoolTunnel]:
        """Return the tunnel of each of an agent's pools, also of those that no service uses."""
        return [self._tunnel(pool, agent) for pool in agent.pools if pool in self._tunnels]

    def readiness(self, agent: Agent) -> frozenset[Readiness]:
        """Return every VIP, with its encapsulation, that an agent's pools need of it."""
        return frozenset(
            Readiness(vip, self._tunnel(pool, agent).encapsulation)
            for pool in agent.pools
            for vip in self._vips.get(pool, ())
        )

    def _tunnel(self, pool: str, agent: Agent) -> PoolTunnel:
        of_pool, of_servers = self._tunnels[pool]
        return of_servers.get(agent.address, of_pool)
