"""Services, pools and real servers with their status, as documents. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from api.health_views import health_name, health_status, service_health, worst
from api.reason_views import because, explained
from api.schemas.base import Json
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
from lvsctl.times import format_duration, format_utc

WORST_FIRST = (KeyState.CONFLICT, KeyState.PENDING, KeyState.HELD, KeyState.APPLIED)


@dataclass(frozen=True)
class DirectorSnapshot:
    """What a director knows at one time.

    Attributes:
        state: The farm and its status.
        view: The kernel's state, from the cycles so far.
        contacts: The last report of each agent.
        now: Time in UTC.
        now_s: The same time on the monotonic clock of the contacts.
        countdowns: Remaining connections of each draining server.
        deadlines: Deadline of each drain, by this director's clock.
        verdicts: Verdict of each health check, by server and VIP.
    """

    state: State
    view: KernelView
    contacts: Mapping[str, Contact]
    now: datetime
    now_s: float
    countdowns: Mapping[ServerId, Countdown]
    deadlines: Mapping[ServerId, datetime]
    verdicts: Mapping[TargetId, Mapping[ProbeId, Verdict]]

    def last_report_at(self, contact: Contact) -> datetime:
        """Return the time of an agent's last report, in UTC."""
        return self.now - timedelta(seconds=self.now_s - contact.at_s)

    @cached_property
    def _service_states(self) -> dict[str, ServiceState]:
        return {}

    def service_state(self, service: farm.Service) -> ServiceState:
        """Return the state of a service and of its servers."""
        if service.name not in self._service_states:
            pool = self.state.farm.pools[service.pool]
            self._service_states[service.name] = service_state(service, pool, self.state.status)
        return self._service_states[service.name]

    @cached_property
    def users(self) -> Mapping[str, Sequence[farm.Service]]:
        """The services that use each pool, by its name."""
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
    """Return a server's declaration, or what would declare one that joined by its agent."""
    return farm.RealServer(
        member.id.server,
        member.address,
        member.weight,
        member.upper_threshold,
        member.lower_threshold,
        member.own_tunnel,
    )


def service_document(service: farm.Service, snapshot: DirectorSnapshot) -> Json:
    """Return a service with its status."""
    return {**Service.of(service).plain(), "status": _service_status(service, snapshot)}


def pool_document(pool: farm.Pool, snapshot: DirectorSnapshot) -> Json:
    """Return a pool with its status."""
    users = snapshot.users.get(pool.name, ())
    status: PoolStatus = {
        "services": [service.name for service in users],
        "tunnel": str(pool.tunnel.encapsulation),
        "real_servers": [
            _listed(member, pool, users, snapshot)
            for member in members(pool, snapshot.state.status)
        ],
    }
    return {**Pool.of(pool).plain(), "status": status}


def server_document(member: PoolMember, pool: farm.Pool, snapshot: DirectorSnapshot) -> Json:
    """Return a server of a pool with its status."""
    declared = RealServer.of(declaration(member)).plain()
    return {**declared, "status": _server_status(member, pool, snapshot)}


def _service_status(service: farm.Service, snapshot: DirectorSnapshot) -> ServiceStatus:
    serving, health = snapshot.service_state(service), snapshot.view.health.get(service.name)
    views = {
        key: snapshot.view.services.get(key) or _pending(snapshot) for key in service_keys(service)
    }
    worst = min(views.values(), key=lambda view: WORST_FIRST.index(view.state))
    return {
        "state": worst.state.value,
        **because(worst.reason or snapshot.view.error),
        "keys": [_key_status(key, view) for key, view in views.items()],
        "health": service_health(health) if health else None,
        "destinations": [
            {
                "server": member.id.server,
                "address": str(member.address),
                "weight": part.weight,
                "tunnel": _tunnel(part),
                "pending": part.pending,
                "health": _health(member, [service], snapshot),
                **explained(part.reasons),
            }
            for member in serving.members
            for part in [serving.parts[member.id.server]]
        ],
    }


def _health(
    member: PoolMember, users: Sequence[farm.Service], snapshot: DirectorSnapshot
) -> HealthName | None:
    """Return the worst health of a server over the VIPs of some services."""
    if not snapshot.state.farm.pools[member.id.pool].health_checks:
        return None
    found = snapshot.state.status.health
    targets = [TargetId(member.id.pool, member.id.server, service.vip) for service in users]
    return worst(health_name(healthy=found.get(each, NOT_CHECKED).healthy) for each in targets)


def _tunnel(part: ServerState) -> str | None:
    return str(part.encapsulation) if part.encapsulation else None


def _pending(snapshot: DirectorSnapshot) -> KeyView:
    return KeyView("", KeyState.PENDING, snapshot.view.error or NOT_OBSERVED())


def _key_status(key: ServiceKey, view: KeyView) -> KeyStatus:
    return {"key": str(key), "state": view.state.value, **because(view.reason)}


def _server_status(
    member: PoolMember, pool: farm.Pool, snapshot: DirectorSnapshot
) -> RealServerStatus:
    users = snapshot.users.get(pool.name, ())
    parts: list[ServiceWeight] = [
        {
            "service": service.name,
            "weight": part.weight,
            "tunnel": _tunnel(part),
            "pending": part.pending,
            **explained(part.reasons),
        }
        for service in users
        for part in [snapshot.service_state(service).parts[member.id.server]]
    ]
    targets = {TargetId(pool.name, member.id.server, service.vip): None for service in users}
    listed = _listed(member, pool, users, snapshot)
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
            health_status(target, snapshot.verdicts[target])
            for target in targets
            if target in snapshot.verdicts and pool.health_checks
        ],
        "drain": _drain_status(member, snapshot),
        "agent": agent_contact(member.agent, snapshot) if member.agent else None,
    }


def _drain_status(member: PoolMember, snapshot: DirectorSnapshot) -> DrainStatus | None:
    override = snapshot.state.status.overrides.get(member.id)
    if override is None or override.state is not AdministrativeState.DRAINING:
        return None
    countdown = snapshot.countdowns.get(member.id)
    left_s = countdown.left_s if countdown else None
    ends = snapshot.deadlines.get(member.id)
    return {
        "since": format_utc(override.since),
        "deadline": format_utc(ends) if ends else None,
        "at_deadline": override.deadline.then.value if override.deadline else None,
        "overdue": ends is not None and ends <= snapshot.now,
        "connections": countdown.connections if countdown else None,
        "gone_in": None if left_s is None else format_duration(math.ceil(left_s)),
        "warnings": [*drain_warnings(snapshot.state, member.id)],
    }


def _listed(
    member: PoolMember, pool: farm.Pool, users: Sequence[farm.Service], snapshot: DirectorSnapshot
) -> ListedServer:
    override = snapshot.state.status.overrides.get(member.id)
    state = override.state if override else AdministrativeState.ENABLED
    overall = _overall(member, pool, users, snapshot)
    return {
        "name": member.id.server,
        "address": str(member.address),
        "origin": member.origin.value,
        "state": state.value,
        "weight": overall.weight,
        "tunnel": _tunnel(overall),
        "pending": overall.pending,
        "health": _health(member, users, snapshot),
        **explained(overall.reasons),
    }


def _overall(
    member: PoolMember, pool: farm.Pool, users: Sequence[farm.Service], snapshot: DirectorSnapshot
) -> ServerState:
    """Return a server's state in the first service in which it has a reason."""
    parts = [snapshot.service_state(service).parts[member.id.server] for service in users]
    if not parts:
        return ServerState(None, (POOL_UNUSED(pool.name),))
    return next((part for part in parts if part.reasons), parts[0])


def agent_contact(agent: Agent, snapshot: DirectorSnapshot) -> AgentContact:
    """Return the membership of an agent, and the age of its last report."""
    contact = snapshot.contacts.get(agent.name)
    return {
        "name": agent.name,
        "membership": agent.membership.value,
        "age": age(snapshot, contact) if contact else None,
    }


def age(snapshot: DirectorSnapshot, contact: Contact) -> str:
    """Return the time since an agent's last report."""
    return format_duration(max(0, int(snapshot.now_s - contact.at_s)))
