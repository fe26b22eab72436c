"""What a cycle sees and therefore plans, before it writes anything; and what it shows after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from lvsctl.director.reconcile.cycle import KeyState, KeyView, ServiceHealth
from lvsctl.director.reconcile.desired import Desired
from lvsctl.director.reconcile.probe_services import ProbePlan
from lvsctl.director.reconcile.sysctls import SysctlPlan
from lvsctl.director.reconcile.tunnel_use import TunnelsInUse, tunnels_in_use
from lvsctl.director.state import State
from lvsctl.director.vips.plan import VipPlan
from lvsctl.health.target import TargetId
from lvsctl.host.interface import HostChange
from lvsctl.ipvs.diff import Plan
from lvsctl.ipvs.table import (
    AddService,
    DeleteService,
    FwmarkKey,
    IpvsTable,
    Operation,
    ServiceKey,
    SetTimeouts,
    service_of,
)
from lvsctl.net import IPAddress, IpProtocol
from lvsctl.results import Done, Result

Results = Sequence[tuple[Operation, Result]]
"""What became of the operations that were tried, in their order."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One comparison of what should be with what is.

    Attributes:
        state: What should be.
        desired: The part of the table that was looked at, as it should be.
        ours: Keys of ours in that part, wanted or not, with the farm's service for each.
        kept: Services that serve a little longer than the farm asks.
        observed: That part of the table as it is.
        plan: What leads from the one to the other.
        timeouts: The same for idle times.
        vips: The same for VIPs.
        sysctls: The same for the parameters of IPVS.
        probes: The same for what health checks need, which is in nothing of the above.
        health: What the health of servers comes to for each service that was looked at.
        assumed_healthy: Servers that serve and were never checked.
    """

    state: State
    desired: Desired
    ours: Mapping[ServiceKey, str]
    kept: IpvsTable
    observed: IpvsTable
    plan: Plan
    timeouts: Sequence[SetTimeouts]
    vips: VipPlan
    sysctls: SysctlPlan
    probes: ProbePlan
    health: Mapping[str, ServiceHealth]
    assumed_healthy: frozenset[TargetId]

    @property
    def mended_marks(self) -> frozenset[FwmarkKey]:
        """The marks of probes whose services are not as they should be."""
        keys = map(service_of, self.probes.operations)
        return frozenset(key for key in keys if isinstance(key, FwmarkKey))

    @property
    def host_changes(self) -> tuple[HostChange, ...]:
        """Everything that is planned outside the table."""
        return (*self.sysctls.changes, *self.vips.changes)

    @property
    def gone(self) -> Sequence[ServiceKey]:
        """Keys of ours that nothing wants and that do not stand any more."""
        return [k for k in self.ours if k not in self.observed and k not in self.desired.table]

    @property
    def tunnels(self) -> TunnelsInUse:
        """What services of ours used towards agents' addresses."""
        agents = {agent.address for agent in self.state.status.agents.values()}
        standing = {key: self.observed[key] for key in self.ours if key in self.observed}
        standing.update(self.probes.standing)
        return tunnels_in_use(standing, agents)

    def orphaned(self, results: Results) -> IpvsTable:
        """Return the services of ours that stand, after writing, though the farm has them not."""
        deleted = _done(DeleteService, results)
        return {
            key: self.observed[key]
            for key in self.ours
            if key in self.observed and key not in self.desired.table and key not in deleted
        }

    def served_vips(self, results: Results) -> frozenset[IPAddress]:
        """Return the VIPs that have a service of ours: any other would expose our listeners."""
        added, conflicts = _done(AddService, results), frozenset(self.plan.conflicts)
        return frozenset(
            self.state.farm.services[owner].vip
            for key, owner in self.desired.owners.items()
            if key in added or (key in self.observed and key not in conflicts)
        )

    def services(
        self,
        results: Results,
        untried: Sequence[Operation],
        why_untried: str,
        vip_problems: Mapping[IPAddress, str],
    ) -> Mapping[ServiceKey, KeyView]:
        """Return what is known of each key after writing.

        Args:
            results: What became of the plan's operations that were tried.
            untried: The others.
            why_untried: Why they were not tried.
            vip_problems: Why a VIP is not on this director.
        """
        undone: dict[ServiceKey, str] = {}
        for operation, result in chain(results, zip(untried, repeat(why_untried))):
            if not isinstance(result, Done):
                key = service_of(operation)
                if key is not None and key not in undone:
                    undone[key] = f"{operation}: {result}"
        owners, conflicts = {**self.ours, **self.desired.owners}, frozenset(self.plan.conflicts)
        return {
            key: KeyView(owners[key], KeyState.CONFLICT, _conflict(key, owners[key]))
            if key in conflicts
            else self._view(key, owners[key], undone, vip_problems)
            for key in (*self.desired.table, *self.orphaned(results))
        }

    def _view(
        self,
        key: ServiceKey,
        owner: str,
        undone: Mapping[ServiceKey, str],
        vip_problems: Mapping[IPAddress, str],
    ) -> KeyView:
        if key in self.kept:
            why = f"serves on until service {owner} serves in its new place"
            return KeyView(owner, KeyState.HELD, why)
        service = self.state.farm.services.get(owner)
        why = undone.get(key) or (vip_problems.get(service.vip, "") if service else "")
        return KeyView(owner, KeyState.PENDING if why else KeyState.APPLIED, why)


def _done(kind: type[AddService | DeleteService], results: Results) -> frozenset[ServiceKey]:
    """Return the services that operations of a kind were done for."""
    return frozenset(
        operation.key
        for operation, result in results
        if isinstance(operation, kind) and isinstance(result, Done)
    )


def _conflict(key: ServiceKey, owner: str) -> str:
    return (
        f"{key} stands in the kernel already and lvsctl did not create it. To take it over as it "
        f"is: lvsctl service adopt {owner}; to have it made anew: {_deletion(key)}"
    )


def _deletion(key: ServiceKey) -> str:
    if isinstance(key, FwmarkKey):
        return f"ipvsadm -D -f {key.mark}"
    option = {IpProtocol.TCP: "-t", IpProtocol.UDP: "-u", IpProtocol.SCTP: "--sctp-service"}
    return f"ipvsadm -D {option[key.protocol]} {str(key).split()[1]}"
