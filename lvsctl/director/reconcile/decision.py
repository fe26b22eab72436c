"""What should be, and what leads there, from one observation. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lvsctl.director.reconcile.cycle import ServiceHealth
from lvsctl.director.reconcile.desired import (
    Desired,
    assumed_healthy,
    compile_desired,
    held,
    held_vips,
)
from lvsctl.director.reconcile.observation import Observation
from lvsctl.director.reconcile.probe_plan import ProbePlan, plan_probes
from lvsctl.director.reconcile.quorums import Quorums
from lvsctl.director.reconcile.serving import Serving
from lvsctl.director.reconcile.settings import Drift
from lvsctl.director.state import State
from lvsctl.farm.model import VipOwner
from lvsctl.health.target import TargetId
from lvsctl.ipvs.diff import Plan, diff
from lvsctl.ipvs.table import IpvsTable, ServiceKey
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Memory:
    """What one cycle leaves to the next, for services that the next does not observe.

    Attributes:
        quorums: Which services had their quorum.
        held: Virtual services that serve until their service serves in its new place.
        serving: Services of the farm that have a virtual service.
        orphaned: Our virtual services that are no longer in the farm.
        unapplied: Services of which a virtual service was not as it should be in the end.
    """

    quorums: Quorums = field(default_factory=Quorums)
    held: frozenset[ServiceKey] = frozenset()
    serving: Serving = field(default_factory=Serving)
    orphaned: IpvsTable = field(default_factory=dict)
    unapplied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a cycle is to do.

    Attributes:
        state: What should be, with the health that is assumed.
        observation: What it was decided from.
        desired: Their virtual services, as they should be.
        held: Those that serve a little longer than the farm asks.
        plan: What leads to both.
        vips: Every VIP that should be on this director.
        probes: What leads to the services of probes; None where the whole was not observed.
        settings: What is to be written for each target, and what is reported.
        health: The health of each service.
        assumed_healthy: Servers that serve and were never checked.
        memory: For the next cycle, as far as it does not depend on what is written.
    """

    state: State
    observation: Observation
    desired: Desired
    held: IpvsTable
    plan: Plan
    vips: frozenset[IPAddress]
    probes: ProbePlan | None
    settings: Sequence[Drift]
    health: Mapping[str, ServiceHealth]
    assumed_healthy: frozenset[TargetId]
    memory: Memory

    @property
    def vip_owner(self) -> VipOwner:
        """Who places the VIPs."""
        return self.state.farm.settings.vips

    def serving(self, added: frozenset[ServiceKey] = frozenset()) -> Serving:
        """Return which services have one of our virtual services, once some were added."""
        table, conflicts = self.observation.table, frozenset(self.plan.conflicts)
        services = self.state.farm.services
        found = {
            owner: services[owner].vip
            for key, owner in self.desired.owners.items()
            if key in added or (key in table and key not in conflicts)
        }
        return self.memory.serving.after(found, self.observation.dirty)


def decide(
    state: State,
    observation: Observation,
    memory: Memory,
    *,
    take_sysctls: bool,
) -> Decision:
    """Compare the farm with an observation.

    Args:
        state: What should be.
        observation: What is.
        memory: Of the cycle before.
        take_sysctls: Write settings even where other services feel them.
    """
    names = state.farm.services.keys() if observation.dirty is None else observation.dirty
    assumed = assumed_healthy(state, names, observation.table)
    if assumed:
        state = state.seen({**state.status.health, **assumed}, state.status.at)
    desired = compile_desired(state, names)
    quorums, health = memory.quorums.judged(state, desired.states)
    farm_vips = observation.vips - quorums.withdrawn(state.farm)

    def is_in_place(vip: IPAddress) -> bool:
        placement = observation.placements.get(vip)
        return vip in farm_vips and placement is not None and placement.is_placed

    kept = held(desired, observation.table, observation.ours, state, is_in_place)
    all_held = memory.held.difference(observation.ours).union(kept)
    plan = diff({**desired.table, **kept}, observation.table, observation.claims.keys())
    probes: ProbePlan | None = None
    settings: Sequence[Drift] = ()
    whole = observation.whole
    if whole:
        taken = (*whole.inventory.keys, *desired.table)
        probes = plan_probes(state.tunnel_paths, state.farm, taken, whole.probes)
        others = () if take_sysctls else (*whole.inventory.foreign, *plan.conflicts)
        settings = whole.settings
        if others:
            settings = [drift.refused([*map(str, others)]) for drift in settings]
    return Decision(
        state,
        observation,
        desired,
        kept,
        plan,
        farm_vips | held_vips(all_held),
        probes,
        settings,
        health,
        frozenset(assumed),
        replace(memory, quorums=quorums, held=all_held),
    )
