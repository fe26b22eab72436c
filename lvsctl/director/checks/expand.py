"""Which probes the health checks of a pool come to, with all that is told about them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lvsctl.director.checks.paths import tunnel_path
from lvsctl.farm.checks import ExecRequest, HealthCheck, Through
from lvsctl.farm.members import PoolMember, members
from lvsctl.farm.model import Pool, Service
from lvsctl.farm.status import Status
from lvsctl.health.path import PreparedPaths, TunnelProbe
from lvsctl.health.target import PlannedProbe, ProbeId, Target, TargetId
from lvsctl.net import IPAddress
from lvsctl.reasons import probes as reasons
from lvsctl.reasons.reason import Reason


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """One question to a server of a pool, as far as it can be asked.

    Attributes:
        id: What its verdict is kept by.
        check: How it is asked.
        member: The server.
        planned: The probe; None where it cannot be made now.
        way: Its way through the tunnel; None for one that takes none.
        direct: Where the same question goes when its answer through the tunnel is bad; None where
            that says nothing.
        obstacle: Why it cannot be made though it should; None where it can, and where it is not
            time for it.
    """

    id: ProbeId
    check: HealthCheck
    member: PoolMember
    planned: PlannedProbe | None
    way: TunnelProbe | None = None
    direct: Target | None = None
    obstacle: Reason | None = None


def checked_servers(
    pool: Pool,
    services: Collection[Service],
    status: Status,
    prepared: PreparedPaths,
) -> Mapping[ProbeId, CheckedServer]:
    """Return every question that the checks of a pool come to.

    Args:
        pool: The pool.
        services: Those that use it; each of their VIPs is asked by itself.
        status: Its agents.
        prepared: The ways through the tunnel that a probe can take.
    """
    if not pool.health_checks:
        return {}
    ports = dict[IPAddress, set[int]]()
    for service in services:
        ports.setdefault(service.vip, set()).update(service.ports)
    found = (
        _checked(ProbeId.of(TargetId(pool.name, member.id.server, vip), check, port), check, member)
        if check.through is Through.DIRECT
        else _tunnelled(
            ProbeId.of(TargetId(pool.name, member.id.server, vip), check, port),
            check,
            member,
            prepared,
        )
        for member in members(pool, status)
        for vip, of_services in ports.items()
        for check in pool.health_checks
        for port in _asked_ports(check, of_services)
    )
    return {each.id: each for each in found}


def _asked_ports(check: HealthCheck, of_services: Collection[int]) -> Sequence[int | None]:
    if check.port is not None or isinstance(check.request, ExecRequest):
        return (check.port,)
    return sorted(of_services)


def _checked(id_: ProbeId, check: HealthCheck, member: PoolMember) -> CheckedServer:
    vip, port = id_.target.vip, id_.port or 0
    if isinstance(check.request, ExecRequest):
        target = Target(member.address, port, vip=vip, server=member.address)
    else:
        target = Target(member.address, port)
    return CheckedServer(id_, check, member, PlannedProbe(id_, check, target))


def _tunnelled(
    id_: ProbeId,
    check: HealthCheck,
    member: PoolMember,
    prepared: PreparedPaths,
) -> CheckedServer:
    vip, port = id_.target.vip, id_.port or 0
    path = tunnel_path(member, vip)
    if path is None:  # it has left, or its agent is not ready: it does not serve either
        return CheckedServer(id_, check, member, None)
    ready = prepared.get(path)
    if ready is None:
        return CheckedServer(id_, check, member, None, obstacle=reasons.NO_PATH(member.address))
    mark, egress = ready.mark, ready.egress
    target = Target(vip, port, egress.source, mark.port, mark.mark)
    return CheckedServer(
        id_,
        check,
        member,
        PlannedProbe(id_, check, target),
        TunnelProbe(path, mark, vip, egress),
        Target(member.address, port),
    )
