"""What is known at run time about the farm: administrative states and agents."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from lvsctl.agent.messages import Membership
from lvsctl.ipvs_table import IPAddress, TunnelType


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


@dataclass(frozen=True, slots=True)
class Override:
    """What a person set at run time about a server; the farm's declaration stays as it is.

    Attributes:
        state: The administrative state.
        weight: Replaces the declared weight; None keeps that.
        reason: Why, in the person's words.
        by: Who: the name that came with the request.
        since: When, in UTC.
    """

    state: AdministrativeState
    weight: int | None
    reason: str
    by: str
    since: datetime


@dataclass(frozen=True, slots=True, order=True)
class Readiness:
    """A VIP and a tunnel type that an agent once reported ready."""

    vip: IPAddress
    tunnel: TunnelType


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
            lost agent takes nothing out of service, it only gives reasons.
    """

    name: str
    address: IPAddress
    pools: tuple[str, ...]
    weight: int
    membership: Membership = Membership.JOINED
    ready: frozenset[Readiness] = frozenset()


@dataclass(frozen=True)
class Status:
    """Everything that compilation needs to know beside the farm."""

    overrides: Mapping[ServerId, Override] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)

    @cached_property
    def agents_by_pool(self) -> Mapping[str, Sequence[Agent]]:
        """Agents of each pool, by name."""
        by_pool: dict[str, list[Agent]] = {}
        for _, agent in sorted(self.agents.items()):
            for pool in agent.pools:
                by_pool.setdefault(pool, []).append(agent)
        return by_pool
