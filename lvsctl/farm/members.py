"""The members of a pool, and whether each serves, with its weight, tunnel and reason. Pure."""

import enum
import functools
from collections.abc import Callable, Mapping, Sequence
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
from lvsctl.latest import latest
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress
from lvsctl.reasons import servers as reasons
from lvsctl.reasons.reason import Reason, Reasons
from lvsctl.times import format_utc

SORRY_WEIGHT = 100
"""Weight of a sorry server; arbitrary, since it is the only destination."""


class Origin(enum.StrEnum):
    """How a server joined its pool."""

    DECLARED = "declared"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class PoolMember:
    """A server of a pool, declared or joined by its agent.

    Attributes:
        id: Pool and name.
        address: Real server address (RIP), where tunnelled packets are sent.
        weight: As declared, or as its agent registered it.
        origin: How it joined its pool.
        encapsulation: Desired encapsulation of packets to it.
        upper_threshold: As declared.
        lower_threshold: As declared.
        agent: Its agent, which may be leaving or have left; None without.
        own_tunnel: Its declared tunnel; None if it uses the pool's.
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
    """Return the servers of a pool, declared ones first.

    An agent whose address is declared belongs to that server; any other agent of the pool is a
    server by itself until it leaves.
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
    """State of a server in one service.

    Attributes:
        weight: In the table; None if it is not in the table.
        reasons: Why, the decisive one first; empty if it serves as declared.
        encapsulation: Of packets to it; None if it is not in the table.
        pending: Waiting for its agent to report it ready over the desired tunnel.
        unchecked: Kept out until it first passes its health checks.
    """

    weight: int | None
    reasons: Reasons = ()
    encapsulation: Encapsulation | None = None
    pending: bool = False
    unchecked: bool = False


def usable_encapsulation(member: PoolMember, vip: IPAddress) -> Encapsulation | None:
    """Return the encapsulation to use for packets for ``vip`` to a server.

    This is the desired one once the agent has reported it ready, until then one that the agent
    accepts: servers of a live pool switch tunnels one by one. None if the agent accepts none;
    packets would loop or be dropped.
    """
    agent = member.agent
    if agent is None or Readiness(vip, member.encapsulation) in agent.ready:
        return member.encapsulation
    return min((ready.tunnel for ready in agent.ready if ready.vip == vip), default=None)


def server_state(member: PoolMember, vip: IPAddress, status: Status) -> ServerState:
    """Decide whether a server serves ``vip``, and with which weight and tunnel.

    Cases are in order of precedence.
    """
    agent = member.agent
    override = status.overrides.get(member.id) if status.overrides else None
    if agent is None and override is None:
        return _as_declared(member.encapsulation)(member.weight)
    state = override.state if override else AdministrativeState.ENABLED
    note = override.reason if override else ""
    if agent and agent.membership is Membership.LEFT:
        return ServerState(None, (reasons.AGENT_LEFT(agent.name),))
    if state is AdministrativeState.DISABLED:
        return ServerState(None, (reasons.DISABLED(member.id, note=note),))
    used = usable_encapsulation(member, vip)
    awaited: Reasons = ()
    if agent and used != member.encapsulation:
        awaited = (reasons.AGENT_NOT_READY(agent.name, vip=vip, tunnel=member.encapsulation),)
    if used is None:
        return ServerState(None, awaited, pending=True)
    weight: int = member.weight
    why: Reasons = ()
    if agent and agent.membership is Membership.LEAVING:
        weight, why = 0, (reasons.AGENT_LEAVING(agent.name),)
    elif state is AdministrativeState.DRAINING:
        weight, why = 0, (_draining(member.id, override, note),)
    elif override and override.weight is not None:
        weight, why = override.weight, (reasons.WEIGHT_OVERRIDDEN(member.id, note=note),)
    if not awaited:
        return ServerState(weight, why, used)
    pending = reasons.TUNNEL_PENDING(member.id, why=awaited, tunnel=used)
    return ServerState(weight, (*why, pending), used, pending=True)


@latest
@functools.lru_cache(maxsize=1024)
def _as_declared(encapsulation: Encapsulation) -> Callable[[int], ServerState]:
    """Return what makes the state of a server by its weight; most servers share one."""
    return functools.lru_cache(maxsize=1024)(lambda weight: ServerState(weight, (), encapsulation))


def _draining(server: ServerId, override: Override | None, note: str) -> Reason:
    deadline = override.deadline if override else None
    if deadline is None:
        return reasons.DRAINING(server, until="", then="", note=note)
    then = {AtDeadline.CUT: "are then cut", AtDeadline.KEEP: "are kept"}[deadline.then]
    return reasons.DRAINING(server, until=format_utc(deadline.at), then=then, note=note)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """State of a pool's servers in one service.

    Attributes:
        members: Its servers, declared ones first.
        parts: State of each server, by name.
        sorry: The sorry server takes the new connections.
        panic: Why unhealthy servers serve; None if none does.
        healthy: Number of healthy servers that take new connections.
        next_change: When slow start next changes a weight, in UTC; None if it does not.
    """

    members: Sequence[PoolMember]
    parts: Mapping[str, ServerState]
    sorry: bool = False
    panic: Reason | None = None
    healthy: int = 0
    next_change: datetime | None = None


def service_state(service: Service, pool: Pool, status: Status) -> ServiceState:
    """Decide how the servers of a pool serve a service.

    Decisions of a person or an agent come first, then health.
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
    """Apply the effective weight to the state of a server."""
    both = (*effective.reasons, *part.reasons)
    if effective.weight is None:
        unchecked = part.weight is not None and health.healthy is None
        return replace(part, weight=None, reasons=both, encapsulation=None, unchecked=unchecked)
    return replace(part, weight=effective.weight, reasons=both)
