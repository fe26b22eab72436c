"""Services, pools and real servers with their status, as documents. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from api.health_views import health_name, health_status, service_health, worst
from api.reason_views import because, explained
from api.schemas.base import Json
from api.schemas.fields import utc_text
from api.schemas.pool import Pool, RealServer
from api.schemas.service import Service
from api.schemas.status import (
    AgentContact,
    DrainStatus,
    HealthName,
    KeyStatus,
    ListedServer,
    PoolStatus,
    RealServerStatus,
    ServiceStatus,
    ServiceWeight,
)
from lvsctl.director.agents.contacts import Contact
from lvsctl.director.drains.countdown import Countdown, drain_warnings
from lvsctl.director.reconcile.cycle import KernelView, KeyState, KeyView
from lvsctl.director.state import State
from lvsctl.director.write.edits import pool_of
from lvsctl.errors import NotFound
from lvsctl.farm import model as farm
from lvsctl.farm.compile import service_keys
from lvsctl.farm.members import PoolMember, ServerState, ServiceState, members, service_state
from lvsctl.farm.status import AdministrativeState, Agent, ServerId
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import Verdict
from lvsctl.health.weights import NOT_CHECKED
from lvsctl.ipvs.table import ServiceKey
from lvsctl.reasons.servers import POOL_UNUSED
from lvsctl.reasons.services import NOT_OBSERVED
from lvsctl.times import format_duration

WORST_FIRST = (KeyState.CONFLICT, KeyState.PENDING, KeyState.HELD, KeyState.APPLIED)


@dataclass(frozen=True)
class Known:
    """All that a director knows at one moment.

    Attributes:
        state: The farm and its status.
        view: The kernel, as the cycles so far have shown it.
        contacts: The last sign of life of each agent.
        now: In UTC.
        now_s: The same moment on the clock of the contacts.
        countdowns: The connections of each server that is being drained.
        deadlines: When each drain is over, by this director's clock.
        verdicts: What each health check says of each server for each VIP.
    """

    state: State
    view: KernelView
    contacts: Mapping[str, Contact]
    now: datetime
    now_s: float
    countdowns: Mapping[ServerId, Countdown]
    deadlines: Mapping[ServerId, datetime]
    verdicts: Mapping[TargetId, Mapping[ProbeId, Verdict]]

    def heard_at(self, contact: Contact) -> datetime:
        """Return when an agent was heard of, in UTC."""
        return self.now - timedelta(seconds=self.now_s - contact.at_s)

    @cached_property
    def _standings(self) -> dict[str, ServiceState]:
        return {}

    def stands(self, service: farm.Service) -> ServiceState:
        """Return how its pool serves a service."""
        if service.name not in self._standings:
            pool = self.state.farm.pools[service.pool]
            self._standings[service.name] = service_state(service, pool, self.state.status)
        return self._standings[service.name]

    @cached_property
    def users(self) -> Mapping[str, Sequence[farm.Service]]:
        """The services of each pool that has some."""
        found: dict[str, list[farm.Service]] = {}
        for service in self.state.farm.services.values():
            found.setdefault(service.pool, []).append(service)
        return found


def service_of(state: State, name: str) -> farm.Service:
    """Return a service, or raise NotFound."""
    service = state.farm.services.get(name)
    if service is None:
        raise NotFound(f"there is no service {name}")
    return service


def member_of(state: State, pool: str, name: str) -> PoolMember:
    """Return a server of a pool, declared or joined, or raise NotFound."""
    for member in members(pool_of(state, pool), state.status):
        if member.id.server == name:
            return member
    raise NotFound(f"pool {pool} has no real server {name}")


def declaration(member: PoolMember) -> farm.RealServer:
    """Return what declares a server, or would declare one that its agent brought."""
    return farm.RealServer(
        member.id.server,
        member.address,
        member.weight,
        member.upper_threshold,
        member.lower_threshold,
        member.own_tunnel,
    )


def service_document(service: farm.Service, known: Known) -> Json:
    """Return a service with its status."""
    return {**Service.of(service).plain(), "status": _service_status(service, known)}


def pool_document(pool: farm.Pool, known: Known) -> Json:
    """Return a pool with its status."""
    users = known.users.get(pool.name, ())
    status: PoolStatus = {
        "services": [service.name for service in users],
        "tunnel": str(pool.tunnel.encapsulation),
        "real_servers": [
            _listed(member, pool, users, known) for member in members(pool, known.state.status)
        ],
    }
    return {**Pool.of(pool).plain(), "status": status}


def server_document(member: PoolMember, pool: farm.Pool, known: Known) -> Json:
    """Return a server of a pool with its status."""
    declared = RealServer.of(declaration(member)).plain()
    return {**declared, "status": _server_status(member, pool, known)}


def _service_status(service: farm.Service, known: Known) -> ServiceStatus:
    stands, health = known.stands(service), known.view.health.get(service.name)
    views = {key: known.view.services.get(key) or _unseen(known) for key in service_keys(service)}
    worst = min(views.values(), key=lambda view: WORST_FIRST.index(view.state))
    return {
        "state": worst.state.value,
        **because(worst.reason or known.view.error),
        "keys": [_key_status(key, view) for key, view in views.items()],
        "health": service_health(health) if health else None,
        "destinations": [
            {
                "server": member.id.server,
                "address": str(member.address),
                "weight": part.weight,
                "tunnel": _tunnel(part),
                "pending": part.pending,
                "health": _health(member, [service], known),
                **explained(part.reasons),
            }
            for member in stands.members
            for part in [stands.parts[member.id.server]]
        ],
    }


def _health(member: PoolMember, users: Sequence[farm.Service], known: Known) -> HealthName | None:
    """Return the worst that is known of a server for the VIPs of some services."""
    if not known.state.farm.pools[member.id.pool].health_checks:
        return None
    found = known.state.status.health
    targets = [TargetId(member.id.pool, member.id.server, service.vip) for service in users]
    return worst(health_name(healthy=found.get(each, NOT_CHECKED).healthy) for each in targets)


def _tunnel(part: ServerState) -> str | None:
    return str(part.encapsulation) if part.encapsulation else None


def _unseen(known: Known) -> KeyView:
    return KeyView("", KeyState.PENDING, known.view.error or NOT_OBSERVED())


def _key_status(key: ServiceKey, view: KeyView) -> KeyStatus:
    return {"key": str(key), "state": view.state.value, **because(view.reason)}


def _server_status(member: PoolMember, pool: farm.Pool, known: Known) -> RealServerStatus:
    users = known.users.get(pool.name, ())
    parts: list[ServiceWeight] = [
        {
            "service": service.name,
            "weight": part.weight,
            "tunnel": _tunnel(part),
            "pending": part.pending,
            **explained(part.reasons),
        }
        for service in users
        for part in [known.stands(service).parts[member.id.server]]
    ]
    targets = {TargetId(pool.name, member.id.server, service.vip): None for service in users}
    listed = _listed(member, pool, users, known)
    return {
        "origin": listed["origin"],
        "state": listed["state"],
        "weight": listed["weight"],
        "tunnel": listed["tunnel"],
        "pending": listed["pending"],
        "reason": listed["reason"],
        "code": listed["code"],
        "reasons": listed["reasons"],
        "services": parts,
        "health": [
            health_status(target, known.verdicts[target])
            for target in targets
            if target in known.verdicts and pool.health_checks
        ],
        "drain": _drain_status(member, known),
        "agent": agent_contact(member.agent, known) if member.agent else None,
    }


def _drain_status(member: PoolMember, known: Known) -> DrainStatus | None:
    override = known.state.status.overrides.get(member.id)
    if override is None or override.state is not AdministrativeState.DRAINING:
        return None
    countdown = known.countdowns.get(member.id)
    left_s = countdown.left_s if countdown else None
    ends = known.deadlines.get(member.id)
    return {
        "since": utc_text(override.since),
        "deadline": utc_text(ends) if ends else None,
        "at_deadline": override.deadline.then.value if override.deadline else None,
        "overdue": ends is not None and ends <= known.now,
        "connections": countdown.connections if countdown else None,
        "gone_in": None if left_s is None else format_duration(math.ceil(left_s)),
        "warnings": [*drain_warnings(known.state, member.id)],
    }


def _listed(
    member: PoolMember, pool: farm.Pool, users: Sequence[farm.Service], known: Known
) -> ListedServer:
    override = known.state.status.overrides.get(member.id)
    state = override.state if override else AdministrativeState.ENABLED
    overall = _overall(member, pool, users, known)
    return {
        "name": member.id.server,
        "address": str(member.address),
        "origin": member.origin.value,
        "state": state.value,
        "weight": overall.weight,
        "tunnel": _tunnel(overall),
        "pending": overall.pending,
        "health": _health(member, users, known),
        **explained(overall.reasons),
    }


def _overall(
    member: PoolMember, pool: farm.Pool, users: Sequence[farm.Service], known: Known
) -> ServerState:
    """Return a server's part in the first service where there is something to say about it."""
    parts = [known.stands(service).parts[member.id.server] for service in users]
    if not parts:
        return ServerState(None, (POOL_UNUSED(pool.name),))
    return next((part for part in parts if part.reasons), parts[0])


def agent_contact(agent: Agent, known: Known) -> AgentContact:
    """Return where an agent stands and when it was last heard of."""
    contact = known.contacts.get(agent.name)
    return {
        "name": agent.name,
        "membership": agent.membership.value,
        "age": age(known, contact) if contact else None,
    }


def age(known: Known, contact: Contact) -> str:
    """Write how long ago an agent was heard of."""
    return format_duration(max(0, int(known.now_s - contact.at_s)))
