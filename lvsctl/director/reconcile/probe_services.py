"""The virtual services that lead probes to one real server each, and what they need of this host.

They stand beside the farm's services and are no part of what people see of those: they are never
drift, a conflict or foreign.
"""

import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lvsctl.director.reconcile.desired import vips_of
from lvsctl.director.reconcile.sysctls import SysctlPlan, plan_sysctls
from lvsctl.farm.model import Farm, Settings, VipOwner
from lvsctl.health.marks import (
    ProbeMarks,
    TunnelPath,
    assign_marks,
    mark_table,
    reserved_ports,
)
from lvsctl.health.path import (
    LOCAL_TABLE,
    Egress,
    PathFacts,
    PreparedPath,
    accept_local,
    egress_to,
    path_sysctls,
)
from lvsctl.host.interface import MAIN_TABLE, Host, HostChange, HostKey, SysctlConfig, SysctlKey
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import AddService, DeleteService, FwmarkKey, IpvsTable, Operation, ServiceKey
from lvsctl.net import Family, IPAddress
from lvsctl.results import Done, Failed
from lvsctl.store.interface import LocalState

OWNER = "(health checks)"
"""Whom their claims are for; no service of a farm can have this name."""

RESERVED_PORTS = SysctlKey(("net", "ipv4", "ip_local_reserved_ports"))


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What leads to the services of probes.

    Attributes:
        marks: Mark and source port of each path, with what rests.
        prepared: What probes can be sent with, once everything is done.
        table: The services that are wanted.
        standing: Those of ours that stand.
        operations: What leads to them.
        changes: What this host needs for their answers.
        gone: Services of ours that stand no more.
        problems: Why a path cannot be probed, in words.
    """

    marks: ProbeMarks = field(default_factory=dict)
    prepared: Mapping[TunnelPath, PreparedPath] = field(default_factory=dict)
    table: IpvsTable = field(default_factory=dict)
    standing: IpvsTable = field(default_factory=dict)
    operations: Sequence[Operation] = ()
    changes: Sequence[HostChange] = ()
    gone: Sequence[ServiceKey] = ()
    problems: Sequence[str] = ()


class ProbeServices:
    """Keeps the services of probes; belongs to the reconciler's thread.

    The services go when nothing is probed; ``accept_local`` and the reserved ports stay as they
    were set, since somebody else may rely on them by then.

    Args:
        ipvs: The virtual services.
        host: Parameters, addresses and routes.
        local: Which services are ours, and which marks and ports are given to whom.
        now: The time of day, in UTC.
    """

    def __init__(
        self, ipvs: Ipvs, host: Host, local: LocalState, now: Callable[[], datetime]
    ) -> None:
        self._ipvs = ipvs
        self._host = host
        self._local = local
        self._now = now
        self._claims = {key for key, owner in local.claims().items() if owner == OWNER}
        self._marks = local.probe_marks()

    @property
    def keys(self) -> frozenset[ServiceKey]:
        """The services of ours for probes, as far as they were claimed."""
        return frozenset(self._claims)

    def facts(self, farm: Farm, withdrawn: frozenset[IPAddress]) -> PathFacts:
        """Look at all that probes need; before and after them, to know whether they count.

        Args:
            farm: With its VIPs.
            withdrawn: Those that lvsctl keeps off this director.
        """
        facts = self._facts(farm, self._ipvs.snapshot(self._claims))
        external = farm.settings.vips is VipOwner.EXTERNAL
        return replace(facts, elsewhere=facts.vips if external else withdrawn)

    def plan(
        self,
        paths: Collection[TunnelPath],
        farm: Farm,
        wanted: Collection[ServiceKey],
        observed: IpvsTable,
    ) -> ProbePlan:
        """Compare the services of probes with those that should stand.

        Args:
            paths: Which ways probes take.
            farm: With its settings.
            wanted: Keys of the farm's services.
            observed: The whole table.
        """
        if not (paths or self._claims or self._marks):
            return ProbePlan()
        settings = farm.settings
        others = [key for key in observed if key not in self._claims]
        marks = assign_marks(
            paths,
            self._marks,
            marks=settings.probe_marks,
            ports=settings.probe_ports,
            foreign_keys=[key for key in (*others, *wanted) if isinstance(key, FwmarkKey)],
            now=self._now(),
        )
        table = mark_table(marks)
        standing = {key: observed[key] for key in self._claims if key in observed}
        ways, sysctls = self._ways(paths, farm, standing)
        return ProbePlan(
            marks=marks,
            prepared={
                path: PreparedPath(marks[path], way) for path, way in ways.items() if path in marks
            },
            table=table,
            standing=standing,
            operations=diff(table, standing, self._claims).operations,
            changes=sysctls.changes,
            gone=[key for key in self._claims if key not in observed and key not in table],
            problems=[*sysctls.problems, *_problems(paths, marks, ways, settings)],
        )

    def write(self, plan: ProbePlan) -> Sequence[str]:
        """Carry out a plan; return what was refused, in words.

        Raises:
            StoreError: A mark or a claim could not be made durable; the kernel is as it was.
        """
        if plan.marks != self._marks:
            self._local.keep_probe_marks(plan.marks)
            self._marks = plan.marks
        new = plan.table.keys() - self._claims
        if new:
            self._local.claim(dict.fromkeys(new, OWNER))
            self._claims |= new
        done = zip(
            plan.changes, (self._host.apply([each])[0] for each in plan.changes), strict=True
        )
        results = [*zip(plan.operations, self._ipvs.apply(plan.operations), strict=True)]
        deleted = {
            operation.key
            for operation, result in results
            if isinstance(operation, DeleteService) and isinstance(result, Done)
        }
        # Somebody else was faster: what stands there now is theirs, and the path gets another.
        theirs = {
            operation.key
            for operation, result in results
            if isinstance(operation, AddService)
            and isinstance(result, Failed)
            and result.errno == errno.EEXIST
        }
        self._release({*plan.gone, *deleted, *theirs})
        return [
            f"health checks: {what}: {result}"
            for what, result in (*done, *results)
            if not isinstance(result, Done)
        ]

    def _release(self, keys: Collection[ServiceKey]) -> None:
        if keys:
            self._local.release(keys)
            self._claims.difference_update(keys)

    def _ways(
        self, paths: Collection[TunnelPath], farm: Farm, standing: IpvsTable
    ) -> tuple[Mapping[TunnelPath, Egress], SysctlPlan]:
        if not paths:
            return {}, SysctlPlan((), ())
        facts = self._facts(farm, standing)
        ways = {path: way for path in paths if (way := egress_to(path, facts))}
        links = {way.link for path, way in ways.items() if path.family is Family.IPV4}
        observed = self._host.observe([*map(accept_local, links), RESERVED_PORTS])
        reserved = observed[RESERVED_PORTS]
        present = reserved.value if isinstance(reserved, SysctlConfig) else ""
        wanted: dict[HostKey, SysctlConfig] = {
            **{accept_local(link): SysctlConfig("1") for link in sorted(links)},
            RESERVED_PORTS: SysctlConfig(reserved_ports(present, farm.settings.probe_ports)),
        }
        return ways, plan_sysctls(wanted, observed, ())

    def _facts(self, farm: Farm, services: IpvsTable) -> PathFacts:
        host = self._host
        addresses = host.addresses()
        routes = [
            host.routes(family, table) for family in Family for table in (MAIN_TABLE, LOCAL_TABLE)
        ]
        return PathFacts(
            services,
            addresses,
            {key: config for found in routes for key, config in found.items()},
            host.observe(path_sysctls({key.link for key in addresses})),
            vips_of(farm),
        )


def _problems(
    paths: Collection[TunnelPath],
    marks: ProbeMarks,
    ways: Mapping[TunnelPath, Egress],
    settings: Settings,
) -> Sequence[str]:
    short = sorted((path for path in paths if path not in marks), key=lambda path: path.sort_key)
    lost = sorted((path for path in paths if path not in ways), key=lambda path: path.sort_key)
    found = [
        f"health checks: this director has no route to {path.server}, or no address of "
        f"{path.family} to send from"
        for path in lost
    ]
    if short:
        found.append(
            f"health checks: nothing is left of settings.probe_marks {settings.probe_marks} or "
            f"settings.probe_ports {settings.probe_ports} for {len(short)} servers, "
            f"{short[0]} among them; make them larger. What removed servers had is free again "
            "after 15 minutes"
        )
    return found
