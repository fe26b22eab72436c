"""From the farm to the IPVS table, and from one table to another.

``compile_service`` says which virtual services and destinations a service of the farm stands
for, ``diff`` which operations lead from the table as it is to the table as it should be. Both are
pure; their laws are in ``tests/unit/test_plan.py``.
"""

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lvsctl.agent.messages import Membership
from lvsctl.farm import Farm, Pool, PoolTunnel, Service
from lvsctl.ipvs_table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    FwmarkKey,
    IPAddress,
    IpvsTable,
    Operation,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    VirtualService,
    VirtualServiceConfig,
    family_of,
)
from lvsctl.status import (
    AdministrativeState,
    Agent,
    AtDeadline,
    Override,
    Readiness,
    ServerId,
    Status,
)

SERVICE_FLAGS: Mapping[str, ServiceFlag] = {
    "ops": ServiceFlag.ONE_PACKET,
    "sh-fallback": ServiceFlag.SCHED1,
    "sh-port": ServiceFlag.SCHED2,
    "mh-fallback": ServiceFlag.SCHED1,
    "mh-port": ServiceFlag.SCHED2,
}
"""The farm's names of flags, as in ipvsadm(8), and the kernel's bits."""


class Origin(enum.StrEnum):
    """How a server came into its pool."""

    DECLARED = "declared"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Member:
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


def members(pool: Pool, status: Status) -> Sequence[Member]:
    """Return the servers of a pool, the declared ones first.

    An agent whose address is declared is that server's agent; every other agent of the pool is a
    server of its own. One that has left takes its undeclared server along.
    """
    agents = {agent.address: agent for agent in status.agents_by_pool.get(pool.name, ())}
    of_pool = pool.tunnel.encapsulation
    declared = [
        Member(
            ServerId(pool.name, server.name),
            server.address,
            server.weight,
            Origin.DECLARED,
            server.tunnel.encapsulation if server.tunnel else of_pool,
            server.upper_threshold,
            server.lower_threshold,
            agents.pop(server.address, None),
            server.tunnel,
        )
        for server in pool.real_servers
    ]
    joined = [
        Member(
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
class Standing:
    """Whether a server takes part in a service, and why.

    Attributes:
        weight: Its weight in the table; None when it is not in the table.
        reason: Why it is so, for a person; empty where it serves as declared.
        encapsulation: What packets to it are wrapped in; None when it is not in the table.
        pending: It waits for its agent to report it ready over the tunnel that is wanted.
    """

    weight: int | None
    reason: str = ""
    encapsulation: Encapsulation | None = None
    pending: bool = False


def usable_encapsulation(member: Member, vip: IPAddress) -> Encapsulation | None:
    """Return what packets for ``vip`` can be wrapped in on their way to a server.

    That is what is wanted, but where its agent has not yet reported that ready, what the agent
    is known to accept: a live pool gets another tunnel one server after the other. None where
    nothing is known to be accepted; packets would loop or vanish there.
    """
    agent = member.agent
    if agent is None or Readiness(vip, member.encapsulation) in agent.ready:
        return member.encapsulation
    return min((ready.tunnel for ready in agent.ready if ready.vip == vip), default=None)


def standing(member: Member, vip: IPAddress, status: Status) -> Standing:
    """Decide whether a server takes part in a service on ``vip``, with what weight and tunnel.

    The order of the cases is their precedence.
    """
    override = status.overrides.get(member.id)
    state = override.state if override else AdministrativeState.ENABLED
    because = f": {override.reason}" if override and override.reason else ""
    agent = member.agent
    if agent and agent.membership is Membership.LEFT:
        return Standing(None, f"agent {agent.name} has left; it returns when the agent joins again")
    if state is AdministrativeState.DISABLED:
        return Standing(None, f"disabled{because}")
    used = usable_encapsulation(member, vip)
    awaited = ""
    if agent and used != member.encapsulation:
        awaited = f"agent {agent.name} has not yet reported {vip} ready over {member.encapsulation}"
    if used is None:
        return Standing(None, awaited, pending=True)
    weight, why = member.weight, ""
    if agent and agent.membership is Membership.LEAVING:
        weight, why = 0, f"agent {agent.name} is leaving"
    elif state is AdministrativeState.DRAINING:
        weight, why = 0, f"draining{_until(override)}{because}"
    elif override and override.weight is not None:
        weight, why = override.weight, f"weight set at run time{because}"
    if not awaited:
        return Standing(weight, why, used)
    pending = f"pending: {awaited}; still over {used}"
    return Standing(weight, f"{why}; {pending}" if why else pending, used, pending=True)


def _until(override: Override | None) -> str:
    """Return when a drain ends and what then becomes of connections, in words."""
    if override is None or override.deadline is None:
        return ""
    then = {AtDeadline.CUT: "what is left is then cut", AtDeadline.KEEP: "what is left is kept"}
    return f" until {override.deadline.at:%Y-%m-%dT%H:%M:%SZ}, {then[override.deadline.then]}"


def service_keys(service: Service) -> Sequence[ServiceKey]:
    """Return the keys of the virtual services that a service stands for."""
    if service.fwmark is not None:
        return (FwmarkKey(family_of(service.vip), service.fwmark),)
    assert service.protocol is not None  # noqa: S101 - farm_rules: None only with a fwmark
    return tuple(AddressKey(service.protocol, service.vip, port) for port in service.ports)


def compile_service(service: Service, pool: Pool, status: Status) -> IpvsTable:
    """Return the part of the IPVS table that a service of the farm stands for.

    Destinations are in the order of their addresses: two directors that add them in one order
    have equal ``mh`` tables.
    """
    flags = ServiceFlag(0)
    for name in service.effective_flags:
        flags |= SERVICE_FLAGS[name]
    config = VirtualServiceConfig(service.scheduler, flags, service.persistence)
    by_address = {
        member.address: DestinationConfig(
            weight=decision.weight,
            encapsulation=decision.encapsulation,
            upper_threshold=member.upper_threshold,
            lower_threshold=member.lower_threshold,
        )
        for member in members(pool, status)
        if (decision := standing(member, service.vip, status)).weight is not None
    }
    ordered = sorted(by_address.items(), key=lambda item: (item[0].version, int(item[0])))
    return {
        key: VirtualService(
            config,
            {
                DestinationKey(address, key.port if isinstance(key, AddressKey) else 0): dest
                for address, dest in ordered
            },
        )
        for key in service_keys(service)
    }


def compile_farm(farm: Farm, status: Status) -> IpvsTable:
    """Return the IPVS table that a farm stands for: the union over its services."""
    table: dict[ServiceKey, VirtualService] = {}
    for service in farm.services.values():
        table.update(compile_service(service, farm.pools[service.pool], status))
    return table


@dataclass(frozen=True, slots=True)
class Plan:
    """What leads from one table to another.

    Attributes:
        operations: In the order in which they are to be done.
        conflicts: Wanted keys that stand already and are not ours.
        foreign: Keys that stand, are not ours and are not wanted.
    """

    operations: Sequence[Operation]
    conflicts: Sequence[ServiceKey]
    foreign: Sequence[ServiceKey]


def diff(wanted: IpvsTable, observed: IpvsTable, claimed: Collection[ServiceKey]) -> Plan:
    """Return what leads from ``observed`` to ``wanted``, touching only what is ours.

    New services come first and services no longer wanted last, so that a changed VIP serves
    before the old one is gone. Within a service destinations are added, then edited, then
    deleted: one that stays is never taken out, and there is never a moment with fewer servers
    than necessary.

    Args:
        wanted: The table as it should be.
        observed: The table as it is.
        claimed: Keys that are ours; every destination of such a service is.
    """
    added: list[Operation] = []
    edited: list[Operation] = []
    deleted: list[Operation] = []
    conflicts: list[ServiceKey] = []
    for key in sorted(wanted, key=lambda key: key.sort_key):
        if key not in observed:
            added += _add(key, wanted[key])
        elif key in claimed:
            edited += _edit(key, wanted[key], observed[key])
        else:
            conflicts.append(key)
    foreign: list[ServiceKey] = []
    for key in sorted(observed.keys() - wanted.keys(), key=lambda key: key.sort_key):
        if key in claimed:
            deleted.append(DeleteService(key))
        else:
            foreign.append(key)
    return Plan(added + edited + deleted, conflicts, foreign)


def _add(key: ServiceKey, service: VirtualService) -> Iterator[Operation]:
    yield AddService(key, service.config)
    for destination, config in service.destinations.items():
        yield AddDestination(key, destination, config)


def _edit(key: ServiceKey, wanted: VirtualService, observed: VirtualService) -> Iterator[Operation]:
    if wanted.config != observed.config:
        yield EditService(key, wanted.config)
    if wanted.destinations == observed.destinations:
        return
    for destination, config in wanted.destinations.items():
        if destination not in observed.destinations:
            yield AddDestination(key, destination, config)
    for destination, config in wanted.destinations.items():
        if destination in observed.destinations and observed.destinations[destination] != config:
            yield EditDestination(key, destination, config)
    for destination in observed.destinations:
        if destination not in wanted.destinations:
            yield DeleteDestination(key, destination)


def diff_timeouts(farm: Farm, observed: Timeouts) -> Sequence[SetTimeouts]:
    """Return what leads to the idle times of the farm; those it does not name stay."""
    settings = farm.settings
    wanted = Timeouts(
        settings.tcp_timeout_s or observed.tcp_s,
        settings.tcp_fin_timeout_s or observed.tcp_fin_s,
        settings.udp_timeout_s or observed.udp_s,
    )
    return () if wanted == observed else (SetTimeouts(wanted),)
