"""What is known at run time about the farm: administrative states, agents, health."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.ipvs.table import Encapsulation
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AdministrativeState(enum.StrEnum):
    """What a person decided about a server of a pool.

    DRAINING keeps its connections and gets no new ones (weight 0); DISABLED is out of the table.
    """

    ENABLED = "enabled"
    DRAINING = "draining"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, order=True)
class ServerId:
    """A server of a pool."""

    pool: str
    server: str

    def __str__(self) -> str:
        return f"{self.pool}/{self.server}"


class AtDeadline(enum.StrEnum):
    """What becomes of the connections that a drained server still has at the deadline.

    CUT takes the server out of the table, KEEP leaves it there without new ones.
    """

    CUT = "cut"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a drain waits for connections to end by themselves.

    Attributes:
        at: When it is over, in UTC.
        then: What becomes of those that are left.
    """

    at: datetime
    then: AtDeadline = AtDeadline.CUT


@dataclass(frozen=True, slots=True)
class Override:
    """What a person set at run time about a server; the farm's declaration stays as it is.

    Attributes:
        state: The administrative state.
        weight: Replaces the declared weight; None keeps that.
        reason: Why, in the person's words.
        by: Who: the name that came with the request.
        since: When, in UTC.
        deadline: Of a drain; None lets it wait for ever.
    """

    state: AdministrativeState
    weight: int | None
    reason: str
    by: str
    since: datetime
    deadline: Deadline | None = None


@dataclass(frozen=True, slots=True, order=True)
class Readiness:
    """A VIP and an encapsulation that an agent once reported ready."""

    vip: IPAddress
    tunnel: Encapsulation


@dataclass(frozen=True, slots=True)
class Agent:
    """A real server's agent as the director knows it.

    Attributes:
        name: Unique among the agents.
        address: The real server's address (RIP).
        pools: Pools that it joined.
        weight: Its weight in pools that do not declare its address.
        membership: Where it stands.
        ready: All that it ever reported ready since it joined. It latches: a later report or a
            lost agent takes nothing out of service, it only gives reasons. What it was ready for
            over another tunnel stays until it is ready over the one that is wanted.
    """

    name: str
    address: IPAddress
    pools: tuple[str, ...]
    weight: int
    membership: Membership = Membership.JOINED
    ready: frozenset[Readiness] = frozenset()


@dataclass(frozen=True)
class Status:
    """Everything that compilation needs to know beside the farm.

    Attributes:
        overrides: What people set at run time.
        agents: The real servers' agents, by name.
        health: What the health checks have come to say.
        at: The moment that is looked at, in UTC; weights of a slow start depend on it.
    """

    overrides: Mapping[ServerId, Override] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    health: Mapping[TargetId, Health] = field(default_factory=dict)
    at: datetime = EPOCH

    def seen(self, health: Mapping[TargetId, Health], at: datetime) -> "Status":
        """Return the same with what is known of health at a moment."""
        return self._with_agents_by_pool(replace(self, health=health, at=at), self.agents_by_pool)

    def after(
        self,
        overrides: Mapping[ServerId, Override],
        agents: Mapping[str, Agent],
        changed: Collection[str],
    ) -> "Status":
        """Return the same with other overrides and agents.

        Args:
            overrides: All of them.
            agents: All of them.
            changed: Names of the agents that differ from before.
        """
        before = [self.agents[name] for name in changed if name in self.agents]
        after = [agents[name] for name in changed if name in agents]
        by_pool = _by_pool(self.agents_by_pool, before, after)
        return self._with_agents_by_pool(replace(self, overrides=overrides, agents=agents), by_pool)

    @staticmethod
    def _with_agents_by_pool(status: "Status", by_pool: Mapping[str, Sequence[Agent]]) -> "Status":
        status.__dict__["agents_by_pool"] = by_pool  # known: not to be made anew
        return status

    @cached_property
    def agents_by_pool(self) -> Mapping[str, Sequence[Agent]]:
        """Agents of each pool that has some, by name."""
        return _by_pool({}, (), self.agents.values())


def _by_pool(
    by_pool: Mapping[str, Sequence[Agent]], gone: Collection[Agent], come: Collection[Agent]
) -> Mapping[str, Sequence[Agent]]:
    """Return the agents of each pool once some have gone and some have come, changed ones both."""
    if not gone and not come:
        return by_pool
    joined: dict[str, list[Agent]] = {}
    for agent in come:
        for pool in agent.pools:
            joined.setdefault(pool, []).append(agent)
    names = {agent.name for agent in gone}
    found = dict(by_pool)
    for pool in joined.keys() | {pool for agent in gone for pool in agent.pools}:
        agents = [agent for agent in found.get(pool, ()) if agent.name not in names]
        agents += joined.get(pool, [])
        if agents:
            found[pool] = sorted(agents, key=lambda agent: agent.name)
        else:
            del found[pool]
    return found
