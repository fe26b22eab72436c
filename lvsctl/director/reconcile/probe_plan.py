"""Which virtual services lead probes to their real servers, and what those need of this host. Pure.

A virtual service of a firewall mark leads the probes with that mark to one real server.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lvsctl.director.reconcile.sysctls import diff_sysctls
from lvsctl.farm.model import Farm, Settings
from lvsctl.health.marks import (
    ProbeMarks,
    TunnelPath,
    assign_marks,
    mark_table,
    reserved_ports,
)
from lvsctl.health.path import Egress, PreparedPath, accept_local
from lvsctl.host.interface import HostChange, HostKey, HostState, SysctlConfig, SysctlKey
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.table import FwmarkKey, IpvsTable, Operation, ServiceKey
from lvsctl.net import Family
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason

RESERVED_PORTS = SysctlKey(("net", "ipv4", "ip_local_reserved_ports"))


@dataclass(frozen=True, slots=True)
class ProbeObservation:
    """What probes through the tunnel have on this director.

    Attributes:
        at: When, in UTC.
        claims: Our keys for probes.
        marks: Mark and source port of each path, with what rests.
        observed: Those of them that are in the kernel.
        egresses: How the director reaches each server that it can reach.
        sysctls: The values of :func:`probe_sysctls`.
    """

    at: datetime
    claims: frozenset[ServiceKey]
    marks: ProbeMarks
    observed: IpvsTable
    egresses: Mapping[TunnelPath, Egress] = field(default_factory=dict)
    sysctls: HostState = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What leads to the services of probes.

    Attributes:
        marks: Mark and source port of each path, with what rests.
        prepared: What probes can be sent with, once everything is done.
        table: The services that are wanted.
        observed: Those of our services that are in the kernel.
        operations: What leads to them.
        changes: What this host needs for their answers.
        gone: Our services that are no longer in the kernel.
        problems: Why a path cannot be probed.
    """

    marks: ProbeMarks = field(default_factory=dict)
    prepared: Mapping[TunnelPath, PreparedPath] = field(default_factory=dict)
    table: IpvsTable = field(default_factory=dict)
    observed: IpvsTable = field(default_factory=dict)
    operations: Sequence[Operation] = ()
    changes: Sequence[HostChange] = ()
    gone: Sequence[ServiceKey] = ()
    problems: Sequence[Reason] = ()


def probe_sysctls(links: Collection[str]) -> Collection[SysctlKey]:
    """Return the parameters that are set for probes whose answers come in from these devices."""
    return [*map(accept_local, sorted(links)), RESERVED_PORTS]


def plan_probes(
    paths: Collection[TunnelPath],
    farm: Farm,
    taken: Collection[ServiceKey],
    observation: ProbeObservation,
) -> ProbePlan:
    """Compare the services of probes with those that should be there.

    Args:
        paths: Which ways probes take.
        farm: With its settings.
        taken: Keys of all other services, in the kernel or wanted.
        observation: What there is.
    """
    claims, observed = observation.claims, observation.observed
    if not (paths or claims or observation.marks):
        return ProbePlan()
    settings = farm.settings
    marks = assign_marks(
        paths,
        observation.marks,
        marks=settings.probe_marks,
        ports=settings.probe_ports,
        foreign_keys=[key for key in taken if isinstance(key, FwmarkKey)],
        now=observation.at,
    )
    table = mark_table(marks)
    egresses = observation.egresses
    wanted = _wanted_sysctls(egresses, settings, observation.sysctls) if paths else {}
    sysctls = diff_sysctls(wanted, observation.sysctls)
    return ProbePlan(
        marks=marks,
        prepared={
            path: PreparedPath(marks[path], egress)
            for path, egress in egresses.items()
            if path in marks
        },
        table=table,
        observed=observed,
        operations=diff(table, observed, claims).operations,
        changes=[each for each in sysctls.changes if isinstance(each, HostChange)],
        gone=[key for key in claims if key not in observed and key not in table],
        problems=[*sysctls.problems, *_problems(paths, marks, egresses, settings)],
    )


def egress_links(egresses: Mapping[TunnelPath, Egress]) -> frozenset[str]:
    """Return the devices on which answers over IPv4 come in; IPv6 needs no parameter."""
    return frozenset(egress.link for path, egress in egresses.items() if path.family is Family.IPV4)


def _wanted_sysctls(
    egresses: Mapping[TunnelPath, Egress], settings: Settings, observed: HostState
) -> HostState:
    reserved = observed.get(RESERVED_PORTS)
    present = reserved.value if isinstance(reserved, SysctlConfig) else ""
    wanted: dict[HostKey, SysctlConfig] = {
        accept_local(link): SysctlConfig("1") for link in sorted(egress_links(egresses))
    }
    wanted[RESERVED_PORTS] = SysctlConfig(reserved_ports(present, settings.probe_ports))
    return wanted


def _problems(
    paths: Collection[TunnelPath],
    marks: ProbeMarks,
    egresses: Mapping[TunnelPath, Egress],
    settings: Settings,
) -> Sequence[Reason]:
    short = sorted((path for path in paths if path not in marks), key=lambda path: path.sort_key)
    lost = sorted((path for path in paths if path not in egresses), key=lambda path: path.sort_key)
    found = [reasons.PROBES_UNROUTED(path.server, family=path.family) for path in lost]
    if short:
        found.append(
            reasons.PROBES_UNMARKED(
                marks=settings.probe_marks,
                ports=settings.probe_ports,
                count=len(short),
                first=short[0],
            )
        )
    return found
