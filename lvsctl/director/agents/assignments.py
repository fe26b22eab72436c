"""What each real server's host should be, as the director tells its agent."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from lvsctl.director.reconcile.tunnel_use import TunnelUse
from lvsctl.director.state import State
from lvsctl.farm.status import Agent
from lvsctl.farm.tunnels import ends_on
from lvsctl.host.receivers import tunnel_of
from lvsctl.ipvs.table import AddressKey, IpvsTable
from lvsctl.messages.documents import assignment_document
from lvsctl.messages.model import Assignment, Membership
from lvsctl.net import IPAddress


class Assignments:
    """The assignments of all agents after one cycle.

    A VIP stays with its agents until the director's kernel sends nothing for it any more: the
    service goes first, then the agents' VIP. So does a tunnel.

    Args:
        state: The farm as that cycle saw it.
        orphaned: Our services that stood after it although the farm no longer names them.
        use: What the kernel wraps packets in, and did just now.
    """

    def __init__(self, state: State, orphaned: IpvsTable, use: TunnelUse) -> None:
        self._state = state
        self._use = use
        self._orphaned_by_address = _vips_by_address(orphaned)
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
        agent, needs = self._state.status.agents[name], self._state.requirements
        if agent.membership is Membership.LEFT:
            return Assignment(
                self._state.farm_id,
                name,
                (),
                (),
                epoch=self._state.epoch,
                revision=self._state.revision,
            )
        vips = needs.vips(agent) | self._orphaned_by_address.get(agent.address, set())
        wanted = needs.tunnels(agent)
        encapsulations = {tunnel.encapsulation for tunnel in wanted}
        encapsulations |= {readiness.tunnel for readiness in agent.ready}
        encapsulations |= self._use.towards(agent.address)
        tunnels = {tunnel_of(encapsulation) for encapsulation in encapsulations}
        return Assignment(
            self._state.farm_id,
            name,
            tuple(sorted(vips, key=lambda vip: (vip.version, int(vip)))),
            tuple(sorted(tunnels, key=lambda each: (each.type, each.port, each.checksum))),
            min((tunnel.mtu for tunnel in wanted if tunnel.mtu), default=None),
            ends_on(name, self._state.farm.tunnels),
            self._state.epoch,
            self._state.revision,
        )


def _etag(assignment: Assignment) -> str:
    """Return what stands for the content: a write that does not bear on an agent is no news."""
    document = json.dumps(assignment_document(replace(assignment, revision=0)), sort_keys=True)
    return f'"{hashlib.sha256(document.encode()).hexdigest()[:32]}"'


def _vips_by_address(table: IpvsTable) -> Mapping[IPAddress, set[IPAddress]]:
    found: dict[IPAddress, set[IPAddress]] = {}
    for key, service in table.items():
        if isinstance(key, AddressKey):
            for destination in service.destinations:
                found.setdefault(destination.address, set()).add(key.vip)
    return found
