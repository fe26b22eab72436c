"""Edits by agents: joining, leaving, and reporting readiness."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from lvsctl.director.state import State, pools_touched
from lvsctl.director.write.edits import Edit
from lvsctl.errors import Conflict, InvalidInput, NotFound, Problem
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import Agent, Readiness
from lvsctl.host.receivers import tunnel_of
from lvsctl.messages.model import Membership, Registration, Report


@dataclass(frozen=True)
class RegisterAgent(Edit):
    """An agent joins, changes its pools or weight, leaves, or has left."""

    name: str
    registration: Registration

    def changes(self, state: State) -> Changes:
        """Refuse unknown pools, and the address or name of another server."""
        asked = self.registration
        problems = [
            Problem(f"/pools/{index}", f"there is no pool {pool!r}", ", ".join(state.farm.pools))
            for index, pool in enumerate(asked.pools)
            if pool not in state.farm.pools
        ]
        if problems:
            raise InvalidInput(problems)
        known = state.status.agents.get(self.name)
        if known and known.address != asked.address:
            raise Conflict(
                f"agent {self.name} is {known.address}, not {asked.address}; give this agent "
                f"another --name, or remove the old one: lvsctl agent remove {self.name}"
            )
        for pool in asked.pools:
            self._refuse_another_server(state.farm.pools[pool], state)
        returns = known and known.membership is not Membership.LEFT
        agent = Agent(
            self.name,
            asked.address,
            asked.pools,
            asked.weight,
            asked.membership,
            known.ready if known and returns else frozenset(),
        )
        return {ObjectId(Kind.AGENT, self.name): agent}

    def _refuse_another_server(self, pool: Pool, state: State) -> None:
        for server in pool.real_servers:
            if server.name == self.name and server.address != self.registration.address:
                raise Conflict(
                    f"pool {pool.name} declares {server.name} at {server.address}, this agent is "
                    f"at {self.registration.address}; give it another --name or --address"
                )
        for other in state.status.agents_by_pool.get(pool.name, ()):
            if other.address == self.registration.address and other.name != self.name:
                raise Conflict(
                    f"agent {other.name} of pool {pool.name} is at {other.address} already; "
                    f"if it is gone: lvsctl agent remove {other.name}"
                )

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Locate the problem at the agent's address, which the farm may use otherwise."""
        if broken == ObjectId(Kind.AGENT, self.name):
            return problem
        return Problem("/address", f"{broken}: {problem.detail}", problem.allowed)


@dataclass(frozen=True)
class RemoveAgent(Edit):
    """Remove an agent; a declared server then has no agent."""

    name: str

    def changes(self, state: State) -> Changes:
        """Refuse an unknown agent."""
        if self.name not in state.status.agents:
            raise NotFound(f"there is no agent {self.name}")
        return {ObjectId(Kind.AGENT, self.name): None}


@dataclass(frozen=True)
class AcceptReport(Edit):
    """Latch what an agent reports ready."""

    name: str
    report: Report

    def changes(self, state: State) -> Changes:
        """Return the agent with the newly reported readiness for its pools' VIPs."""
        agent = state.status.agents.get(self.name)
        if agent is None:
            raise NotFound(f"there is no agent {self.name}")
        reported = {vip for vip in self.report.ready if self.report.farm_id == state.farm_id}
        ready = agent.ready | {
            readiness
            for readiness in state.requirements.readiness(agent)
            if readiness.vip in reported and tunnel_of(readiness.tunnel) in self.report.tunnels
        }
        return {ObjectId(Kind.AGENT, self.name): replace(agent, ready=ready)}


@dataclass(frozen=True)
class LatchReady(Edit):
    """Mark as ready what the kernel already serves when a service is adopted."""

    ready: Mapping[str, frozenset[Readiness]]

    def changes(self, state: State) -> Changes:
        """Return the agents with the added readiness."""
        return {
            ObjectId(Kind.AGENT, name): replace(agent, ready=agent.ready | self.ready[name])
            for name, agent in state.status.agents.items()
            if name in self.ready
        }


def without_stale_readiness(
    before: State, after: State, changed: Collection[ObjectId] | None
) -> Changes:
    """Return the agents with readiness that is no longer needed removed.

    An agent takes a VIP down when nothing needs it; should the VIP come back, the agent must
    report it again before packets are sent. A VIP that is needed over another tunnel keeps its
    readiness over the old one until the agent has reported the new one.

    Args:
        before: An earlier state.
        after: The new state.
        changed: The objects that differ; None to go through all agents.
    """
    return {
        ObjectId(Kind.AGENT, agent.name): replace(agent, ready=kept)
        for agent in _bearing(before, after, changed)
        if agent.ready and agent.ready != (kept := _needed_still(agent, after))
    }


def _bearing(
    before: State, after: State, changed: Collection[ObjectId] | None
) -> Collection[Agent]:
    """Return the agents whose requirements changed objects may affect."""
    agents, by_pool = after.status.agents, after.status.agents_by_pool
    if changed is None:
        return agents.values()
    pools = pools_touched(before, after, changed)
    found = {agent.name: agent for pool in pools for agent in by_pool.get(pool, ())}
    for object_id in changed:
        if object_id.kind is Kind.AGENT and object_id.name in agents:  # of no pool any more
            found[object_id.name] = agents[object_id.name]
    return found.values()


def _needed_still(agent: Agent, state: State) -> frozenset[Readiness]:
    needed = state.requirements.readiness(agent)
    awaited = {readiness.vip for readiness in needed - agent.ready}
    return frozenset(
        readiness for readiness in agent.ready if readiness in needed or readiness.vip in awaited
    )
