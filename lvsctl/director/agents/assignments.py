"""The assignments of agents: the desired state of each real server's host."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace

from lvsctl.director.reconcile.tunnel_use import TunnelUse
from lvsctl.director.state import State
from lvsctl.director.write.advance import Advance
from lvsctl.farm.model import Pool, Service
from lvsctl.farm.status import Agent
from lvsctl.farm.tunnels import Tunnel, ends_on
from lvsctl.host.receivers import tunnel_of
from lvsctl.ipvs.table import AddressKey, IpvsTable
from lvsctl.messages.documents import assignment_document
from lvsctl.messages.model import Assignment, Membership
from lvsctl.net import IPAddress


class Assignments:
    """The assignments of all agents after the latest cycle.

    An agent keeps a VIP until the director's kernel no longer sends packets for it: the
    service goes first, then the agents' VIP. So does a tunnel.

    An assignment is computed on demand, and cached until a cycle may have changed it.
    """

    def __init__(self) -> None:
        self._state: State | None = None
        self._use = TunnelUse()
        self._orphaned: IpvsTable = {}
        self._orphaned_by_address: Mapping[IPAddress, set[IPAddress]] = {}
        self._found: dict[str, tuple[str, Assignment]] = {}
        self._affected: dict[str, int] = {}

    def on_advance(self, step: Advance) -> None:
        """Note the agents that a step of the stored state affects."""
        self._affected |= dict.fromkeys(agents_affected(step), step.after.revision)

    def on_cycle(self, state: State, orphaned: IpvsTable, use: TunnelUse) -> Collection[str]:
        """Update from a cycle; return the agents whose assignment may have changed.

        Args:
            state: The state that the cycle applied.
            orphaned: lvsctl's services that remain in the kernel but are no longer in the farm.
            use: Encapsulations that the kernel uses, or used a moment ago.
        """
        before, self._state = self._state, state
        affected = {name for name, at in self._affected.items() if at <= state.revision}
        for name in affected:
            del self._affected[name]
        if before is None or _farm_of(before) != _farm_of(state):
            affected |= state.status.agents.keys() | self._found.keys()
        addresses = use.changed_since(self._use)
        self._use = use
        if orphaned != self._orphaned:
            by_address = _vips_by_address(orphaned)
            addresses |= self._orphaned_by_address.keys() | by_address.keys()
            self._orphaned, self._orphaned_by_address = orphaned, by_address
        for address in addresses:
            affected.update(state.index.agents.get(address, ()))
        for name in affected:
            self._found.pop(name, None)
        return affected

    def of(self, agent: Agent) -> tuple[str, Assignment] | None:
        """Return an agent's assignment with its entity tag.

        None if the latest cycle did not include the agent as it is now, or if there was none:
        one that joins again must not be told to drop its VIPs because a cycle saw it gone.
        """
        state = self._state
        seen = state.status.agents.get(agent.name) if state else None
        if (
            state is None
            or seen is None
            or (seen.address, seen.pools, seen.membership)
            != (agent.address, agent.pools, agent.membership)
        ):
            return None
        if agent.name not in self._found:
            assignment = self._assignment(seen, state)
            self._found[agent.name] = (_etag(assignment), assignment)
        etag, assignment = self._found[agent.name]
        return etag, replace(assignment, revision=state.revision)

    def _assignment(self, agent: Agent, state: State) -> Assignment:
        name, needs = agent.name, state.requirements
        if agent.membership is Membership.LEFT:
            return Assignment(state.farm_id, name, (), (), epoch=state.epoch)
        vips = needs.vips(agent) | self._orphaned_by_address.get(agent.address, set())
        wanted = needs.tunnels(agent)
        encapsulations = {tunnel.encapsulation for tunnel in wanted}
        encapsulations |= {readiness.tunnel for readiness in agent.ready}
        encapsulations |= self._use.towards(agent.address)
        tunnels = {tunnel_of(encapsulation) for encapsulation in encapsulations}
        return Assignment(
            state.farm_id,
            name,
            tuple(sorted(vips, key=lambda vip: (vip.version, int(vip)))),
            tuple(sorted(tunnels, key=lambda each: (each.type, each.port, each.checksum))),
            min((tunnel.mtu for tunnel in wanted if tunnel.mtu), default=None),
            ends_on(name, state.farm.tunnels),
            state.epoch,
        )


def agents_affected(step: Advance) -> frozenset[str]:
    """Return the agents whose assignments a step of the stored state may change."""
    found: set[str] = set()
    for object_id in step.changes:
        before, after = step.before.value(object_id), step.after.value(object_id)
        pools: set[str] = set()
        for value in (before, after):
            match value:
                case Agent(name=name):
                    found.add(name)
                case Tunnel(ends=ends):
                    found.update(end.agent for end in ends)
                case Service(pool=pool):
                    pools.add(pool)
                case Pool(name=name) if _tunnels(step.before, name) != _tunnels(step.after, name):
                    pools.add(name)
        for state in (step.before, step.after):
            for pool in pools:
                found.update(each.name for each in state.status.agents_by_pool.get(pool, ()))
    return frozenset(found)


def _tunnels(state: State, pool: str) -> object:
    """Return everything about a pool that assignments depend on."""
    found = state.farm.pools.get(pool)
    return (found and found.tunnel, state.index.own_tunnels.get(pool))


def _farm_of(state: State) -> tuple[str, int]:
    return state.farm_id, state.epoch


def _etag(assignment: Assignment) -> str:
    """Return the entity tag: a hash of the content, which unrelated writes do not change."""
    document = json.dumps(assignment_document(replace(assignment, revision=0)), sort_keys=True)
    return f'"{hashlib.sha256(document.encode()).hexdigest()[:32]}"'


def _vips_by_address(table: IpvsTable) -> Mapping[IPAddress, set[IPAddress]]:
    found: dict[IPAddress, set[IPAddress]] = {}
    for key, service in table.items():
        if isinstance(key, AddressKey):
            for destination in service.destinations:
                found.setdefault(destination.address, set()).add(key.vip)
    return found
