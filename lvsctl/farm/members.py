"""Who is a server of a pool, and whether it serves, with what weight and tunnel, and why. Pure."""

import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lvsctl.farm.model import Pool, PoolTunnel, Service
from lvsctl.farm.status import (
    AdministrativeState,
    Agent,
    AtDeadline,
    Override,
    Readiness,
    ServerId,
    Status,
)
from lvsctl.health.target import TargetId
from lvsctl.health.weights import (
    NOT_CHECKED,
    UNCHECKED_POOL,
    Effective,
    Health,
    Server,
    effective_weights,
)
from lvsctl.ipvs.table import Encapsulation
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress

SORRY_WEIGHT = 100
"""Of a sorry server, which nobody shares a service with."""


class Origin(enum.StrEnum):
    """How a server came into its pool."""

    DECLARED = "declared"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class PoolMember:
    """A server of a pool, declared or joined, with its agent where it has one.

    Attributes:
        id: Pool and name.
        address: Where tunnelled packets are sent (RIP).
        weight: As declared, or as its agent brought it.
        origin: How it came into its pool.
        encapsulation: What packets to it are to be wrapped in.
        upper_threshold: As declared.
        lower_threshold: As declared.
        agent: Its agent, which may be leaving or have left.
        own_tunnel: Its declared tunnel; None where it has the pool's.
    """

    id: ServerId
    address: IPAddress
    weight: int
    origin: Origin
    encapsulation: Encapsulation
    upper_threshold: int = 0
    lower_threshold: int = 0
    agent: Agent | None = None
    own_tunnel: PoolTunnel | None = None


def members(pool: Pool, status: Status) -> Sequence[PoolMember]:
    """Return the servers of a pool, the declared ones first.

    An agent whose address is declared is that server's agent; every other agent of the pool is a
    server of its own. One that has left takes its undeclared server along.
    """
    agents = {agent.address: agent for agent in status.agents_by_pool.get(pool.name, ())}
    of_pool = pool.tunnel.encapsulation
    declared = [
        PoolMember(
            ServerId(pool.name, server.name),
            server.address,
            server.weight,
            Origin.DECLARED,
            server.tunnel.encapsulation if server.tunnel else of_pool,
            server.upper_threshold,
            server.lower_threshold,
            agents.pop(server.address, None) if agents else None,
            server.tunnel,
        )
        for server in pool.real_servers
    ]
    joined = [
        PoolMember(
            ServerId(pool.name, agent.name),
            address,
            agent.weight,
            Origin.AGENT,
            of_pool,
            agent=agent,
        )
        for address, agent in agents.items()
        if agent.membership is not Membership.LEFT
    ]
    return declared + joined


@dataclass(frozen=True, slots=True)
class ServerState:
    """Whether a server takes part in a service, and why.

    Attributes:
        weight: Its weight in the table; None when it is not in the table.
        reason: Why it is so, for a person; empty where it serves as declared.
        encapsulation: What packets to it are wrapped in; None when it is not in the table.
        pending: It waits for its agent to report it ready over the tunnel that is wanted.
        unchecked: It is kept out until it passes its health checks for the first time.
    """

    weight: int | None
    reason: str = ""
    encapsulation: Encapsulation | None = None
    pending: bool = False
    unchecked: bool = False


def usable_encapsulation(member: PoolMember, vip: IPAddress) -> Encapsulation | None:
    """Return what packets for ``vip`` can be wrapped in on their way to a server.

    That is what is wanted, but where its agent has not yet reported that ready, what the agent
    is known to accept: a live pool gets another tunnel one server after the other. None where
    nothing is known to be accepted; packets would loop or vanish there.
    """
    agent = member.agent
    if agent is None or Readiness(vip, member.encapsulation) in agent.ready:
        return member.encapsulation
    return min((ready.tunnel for ready in agent.ready if ready.vip == vip), default=None)


def server_state(member: PoolMember, vip: IPAddress, status: Status) -> ServerState:
    """Decide whether a server takes part in a service on ``vip``, with what weight and tunnel.

    The order of the cases is their precedence.
    """
    agent, override = member.agent, status.overrides.get(member.id)
    if agent is None and override is None:
        return _as_declared(member.weight, member.encapsulation)
    state = override.state if override else AdministrativeState.ENABLED
    because = f": {override.reason}" if override and override.reason else ""
    if agent and agent.membership is Membership.LEFT:
        return ServerState(
            None, f"agent {agent.name} has left; it returns when the agent joins again"
        )
    if state is AdministrativeState.DISABLED:
        return ServerState(None, f"disabled{because}")
    used = usable_encapsulation(member, vip)
    awaited = ""
    if agent and used != member.encapsulation:
        awaited = f"agent {agent.name} has not yet reported {vip} ready over {member.encapsulation}"
    if used is None:
        return ServerState(None, awaited, pending=True)
    weight, why = member.weight, ""
    if agent and agent.membership is Membership.LEAVING:
        weight, why = 0, f"agent {agent.name} is leaving"
    elif state is AdministrativeState.DRAINING:
        weight, why = 0, f"draining{_until(override)}{because}"
    elif override and override.weight is not None:
        weight, why = override.weight, f"weight set at run time{because}"
    if not awaited:
        return ServerState(weight, why, used)
    pending = f"pending: {awaited}; still over {used}"
    return ServerState(weight, f"{why}; {pending}" if why else pending, used, pending=True)


@functools.lru_cache(maxsize=4096)  # most servers of a farm have the same
def _as_declared(weight: int, encapsulation: Encapsulation) -> ServerState:
    return ServerState(weight, "", encapsulation)


def _until(override: Override | None) -> str:
    """Return when a drain ends and what then becomes of connections, in words."""
    if override is None or override.deadline is None:
        return ""
    then = {AtDeadline.CUT: "what is left is then cut", AtDeadline.KEEP: "what is left is kept"}
    return f" until {override.deadline.at:%Y-%m-%dT%H:%M:%SZ}, {then[override.deadline.then]}"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a pool serves one service.

    Attributes:
        members: Its servers, the declared ones first.
        parts: What each of them takes part with, by its name.
        sorry: The sorry server takes the new connections.
        panic: Why servers serve that are not healthy; empty where none does.
        healthy: How many servers are healthy and take new connections.
        next_change: When a weight changes by itself, in UTC; None when it does not.
    """

    members: Sequence[PoolMember]
    parts: Mapping[str, ServerState]
    sorry: bool = False
    panic: str = ""
    healthy: int = 0
    next_change: datetime | None = None


def service_state(service: Service, pool: Pool, status: Status) -> ServiceState:
    """Decide how the servers of a pool serve a service, by all that is known of them.

    What a person or an agent decided comes first, then what the health checks say.
    """
    found = members(pool, status)
    parts = {member.id.server: server_state(member, service.vip, status) for member in found}
    if not pool.health_checks and service.sorry_server is None:
        eligible = sum(1 for part in parts.values() if part.weight)
        return ServiceState(found, parts, healthy=eligible)

    def health(name: str) -> Health:
        if not pool.health_checks:
            return UNCHECKED_POOL
        return status.health.get(TargetId(pool.name, name, service.vip), NOT_CHECKED)

    weights = effective_weights(
        {name: Server(part.weight, health(name)) for name, part in parts.items()},
        pool.health_policy,
        has_sorry_server=service.sorry_server is not None,
        now=status.at,
    )
    return ServiceState(
        found,
        {
            name: _with_health(part, weights.servers[name], health(name))
            for name, part in parts.items()
        },
        weights.sorry,
        weights.panic,
        weights.healthy,
        weights.next_change,
    )


def _with_health(part: ServerState, effective: Effective, health: Health) -> ServerState:
    """Return what a server takes part with once its health is taken into account."""
    reason = "; ".join(filter(None, (effective.reason, part.reason)))
    if effective.weight is None:
        unchecked = part.weight is not None and health.healthy is None
        return replace(part, weight=None, reason=reason, encapsulation=None, unchecked=unchecked)
    return replace(part, weight=effective.weight, reason=reason)
