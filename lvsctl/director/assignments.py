"""What each real server's host should be, as the director tells its agent."""

import hashlib
import json
from collections.abc import Mapping

from lvsctl.agent.documents import assignment_document
from lvsctl.agent.messages import Assignment, Membership, Tunnel
from lvsctl.director.state import State
from lvsctl.ipvs_table import AddressKey, IPAddress, IpvsTable
from lvsctl.status import Agent


class Assignments:
    """The assignments of all agents after one cycle.

    A VIP stays with its agents until the director's kernel sends nothing for it any more: the
    service goes first, then the agents' VIP.

    Args:
        state: The farm as that cycle saw it.
        lingering: Our services that stood after it although the farm no longer names them.
    """

    def __init__(self, state: State, lingering: IpvsTable) -> None:
        self._state = state
        self._vips_by_pool: dict[str, set[IPAddress]] = {}
        for service in state.farm.services.values():
            self._vips_by_pool.setdefault(service.pool, set()).add(service.vip)
        self._lingering_by_address = _vips_by_address(lingering)
        self._found: dict[str, tuple[str, Assignment]] = {}

    def of(self, agent: Agent) -> tuple[str, Assignment] | None:
        """Return an agent's assignment with its entity tag.

        None where that cycle did not see the agent as it is now: one that joins again must not be
        told to drop its VIPs because a cycle saw it gone.
        """
        seen = self._state.status.agents.get(agent.name)
        if seen is None or (seen.address, seen.pools, seen.membership) != (
            agent.address,
            agent.pools,
            agent.membership,
        ):
            return None
        if agent.name not in self._found:
            assignment = self._assignment(agent.name)
            self._found[agent.name] = (_etag(assignment), assignment)
        return self._found[agent.name]

    def _assignment(self, name: str) -> Assignment:
        farm, agent = self._state.farm, self._state.status.agents[name]
        if agent.membership is Membership.LEFT:
            return Assignment(self._state.farm_id, name, (), ())
        vips = set(self._lingering_by_address.get(agent.address, ()))
        for pool in agent.pools:
            vips |= self._vips_by_pool.get(pool, set())
        tunnels = {str(farm.pools[pool].tunnel.type) for pool in agent.pools if pool in farm.pools}
        return Assignment(
            self._state.farm_id,
            name,
            tuple(sorted(vips, key=lambda vip: (vip.version, int(vip)))),
            tuple(Tunnel(type=tunnel) for tunnel in sorted(tunnels)),
        )


def _etag(assignment: Assignment) -> str:
    document = json.dumps(assignment_document(assignment), sort_keys=True)
    return f'"{hashlib.sha256(document.encode()).hexdigest()[:32]}"'


def _vips_by_address(table: IpvsTable) -> Mapping[IPAddress, set[IPAddress]]:
    found: dict[IPAddress, set[IPAddress]] = {}
    for key, service in table.items():
        if isinstance(key, AddressKey):
            for destination in service.destinations:
                found.setdefault(destination.address, set()).add(key.vip)
    return found
