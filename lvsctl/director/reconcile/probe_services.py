"""The virtual services that lead probes to one real server each, and what they need of this host.

They stand beside the farm's services and are no part of what people see of those: they are never
drift, a conflict or foreign.
"""

import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from lvsctl.director.reconcile.desired import vips_of
from lvsctl.director.reconcile.probe_plan import (
    ProbeObservation,
    ProbePlan,
    egress_links,
    probe_sysctls,
)
from lvsctl.director.vips.plan import Addresses
from lvsctl.farm.model import Farm, VipOwner
from lvsctl.health.marks import TunnelPath
from lvsctl.health.path import LOCAL_TABLE, Egress, PathFacts, egress_to, path_sysctls
from lvsctl.host.interface import MAIN_TABLE, Host, HostState
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import AddService, DeleteService, IpvsTable, ServiceKey
from lvsctl.net import Family, IPAddress
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done, Failed
from lvsctl.store.interface import LocalState

OWNER = "(health checks)"
"""Whom their claims are for; no service of a farm can have this name."""


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
        self._claims = frozenset(key for key, owner in local.claims().items() if owner == OWNER)
        self._marks = local.probe_marks()

    @property
    def keys(self) -> frozenset[ServiceKey]:
        """Our services for probes, as far as they were claimed; for any thread."""
        return self._claims

    def facts(self, farm: Farm, withdrawn: frozenset[IPAddress]) -> PathFacts:
        """Observe all that probes need; before and after them, to know whether they count.

        Args:
            farm: With its VIPs.
            withdrawn: Those that lvsctl keeps off this director.
        """
        facts = self._facts(farm, self._ipvs.snapshot(self._claims), self._host.addresses())
        external = farm.settings.vips is VipOwner.EXTERNAL
        return replace(facts, elsewhere=facts.vips if external else withdrawn)

    def observe(
        self,
        paths: Collection[TunnelPath],
        farm: Farm,
        table: IpvsTable,
        addresses: Addresses,
    ) -> ProbeObservation:
        """Return what probes have, and how each server is reached.

        Args:
            paths: Which ways probes take.
            farm: With its VIPs.
            table: Every virtual service.
            addresses: Of every device.
        """
        claims = self.keys
        observed = {key: table[key] for key in claims if key in table}
        egresses: dict[TunnelPath, Egress] = {}
        sysctls: HostState = {}
        if paths:
            facts = self._facts(farm, observed, addresses)
            egresses = {path: egress for path in paths if (egress := egress_to(path, facts))}
            sysctls = self._host.observe(probe_sysctls(egress_links(egresses)))
        return ProbeObservation(self._now(), claims, self._marks, observed, egresses, sysctls)

    def write(self, plan: ProbePlan) -> Sequence[Reason]:
        """Carry out a plan; return what was refused.

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
        changed = [(change, self._host.apply([change])[0]) for change in plan.changes]
        results = [*zip(plan.operations, self._ipvs.apply(plan.operations), strict=True)]
        deleted = {
            operation.key
            for operation, result in results
            if isinstance(operation, DeleteService) and isinstance(result, Done)
        }
        # Somebody else was faster: what is there now is theirs, and the path gets another.
        theirs = {
            operation.key
            for operation, result in results
            if isinstance(operation, AddService)
            and isinstance(result, Failed)
            and result.errno == errno.EEXIST
        }
        self._release({*plan.gone, *deleted, *theirs})
        return [
            reasons.PROBE_SET_UP_REFUSED(change=what, result=result)
            for what, result in (*changed, *results)
            if not isinstance(result, Done)
        ]

    def _release(self, keys: Collection[ServiceKey]) -> None:
        if keys:
            self._local.release(keys)
            self._claims = self._claims.difference(keys)

    def _facts(self, farm: Farm, services: IpvsTable, addresses: Addresses) -> PathFacts:
        host = self._host
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
