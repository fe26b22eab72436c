"""The only writer of the director's kernel: compares what should be with what is."""

import errno
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from operator import not_

from lvsctl.director.drains.countdown import Connections, open_connections
from lvsctl.director.reconcile.cycle import Cycle, KeyState, TableReading
from lvsctl.director.reconcile.desired import (
    assumed_healthy,
    compile_desired,
    desired_keys,
    held,
    held_vips,
    vips_of,
)
from lvsctl.director.reconcile.observation import Observation, Results
from lvsctl.director.reconcile.probe_services import ProbePlan, ProbeServices
from lvsctl.director.reconcile.quorums import Quorums
from lvsctl.director.reconcile.sysctls import SysctlPlan, plan_sysctls, wanted_sysctls
from lvsctl.director.reconcile.tunnel_use import together
from lvsctl.director.state import State
from lvsctl.director.vips.managed import LocalVips
from lvsctl.director.write.adoption import Adoption
from lvsctl.farm.compile import diff_timeouts
from lvsctl.health.path import TunnelProbe, path_problem
from lvsctl.host.interface import Host
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import (
    AddressKey,
    AddService,
    DeleteService,
    Operation,
    ServiceKey,
    SetTimeouts,
    VirtualService,
)
from lvsctl.net import IPAddress
from lvsctl.results import Done, Failed, Result, Unknown
from lvsctl.store.interface import LocalState

STALE_SNAPSHOT = frozenset({errno.EEXIST, errno.ENOENT, errno.ESRCH})
"""What the kernel says when the table changed between the look and the write."""


class Reconciler:
    """Makes this director's kernel equal to a state; belongs to one thread.

    Args:
        ipvs: The virtual services.
        host: The parameters of IPVS.
        vips: The VIPs.
        probes: The virtual services of health checks.
        local: Which virtual services are ours.
        take_sysctls: Write parameters even where foreign services feel them.
    """

    def __init__(
        self,
        ipvs: Ipvs,
        host: Host,
        vips: LocalVips,
        probes: ProbeServices,
        local: LocalState,
        *,
        take_sysctls: bool,
    ) -> None:
        self._ipvs = ipvs
        self._host = host
        self._vips = vips
        self._probes = probes
        self._local = local
        self._take_sysctls = take_sysctls
        self._claims = {key: name for key, name in local.claims().items() if key not in probes.keys}
        self._orphaned: dict[ServiceKey, VirtualService] = {}
        self._kept: set[ServiceKey] = set()
        self._quorums = Quorums()

    def cycle(self, state: State, dirty: frozenset[str] | None, not_enforced: str) -> Cycle:
        """Look, and write what differs.

        It looks once more where the kernel's answers show that the table changed meanwhile, and
        where what was written lets something go that was held for it.

        Args:
            state: What should be.
            dirty: Names of services to look at; None for everything.
            not_enforced: Why nothing may be written; empty where it may.

        Raises:
            KernelError: The kernel could not be read, or refused everything.
            StoreError: A claim could not be made durable; nothing was added.
        """
        cycle = self._cycle(state, dirty, not_enforced)
        stale = any(_asks_for_another_look(result) for _, result in cycle.results)
        if not stale and not _let_go(cycle):
            return cycle
        again = self._cycle(state, dirty, not_enforced)
        return replace(
            again,
            operations=(*cycle.operations, *again.operations),
            results=(*cycle.results, *again.results),
            tunnels=together(cycle.tunnels, again.tunnels),
            mended_marks=cycle.mended_marks | again.mended_marks,
            assumed_healthy=cycle.assumed_healthy | again.assumed_healthy,
        )

    def _cycle(self, state: State, dirty: frozenset[str] | None, not_enforced: str) -> Cycle:
        observation = self._observe(state, dirty)
        timeouts: Results = ()
        results: Results = ()
        untried = observation.plan.operations
        problems = [*observation.sysctls.problems, *observation.probes.problems]
        if not not_enforced:
            if dirty is None:
                # First of all, since a mark that they give up may be a service's from now on.
                problems += self._probes.write(observation.probes)
            problems += self._write_sysctls(observation)
            timeouts = self._apply(observation.timeouts)
            problems += [f"{edit}: {result}" for edit, result in timeouts if result != Done()]
            tried, untried = _without_deletions(
                observation.plan.operations, self._vips.remove(observation.vips)
            )
            results = self._write_table(observation, tried)
            self._vips.add(observation.vips, observation.served_vips(results))
        if dirty is None:
            problems += self._vips.warnings()
        for key in observation.ours:
            self._orphaned.pop(key, None)
        self._orphaned |= observation.orphaned(results)
        why_untried = not_enforced or "waits until its VIP is off this director"
        return Cycle(
            revision=state.revision,
            dirty=dirty,
            operations=(*observation.timeouts, *observation.plan.operations),
            results=(*timeouts, *results),
            host_changes=observation.host_changes,
            services=observation.services(results, untried, why_untried, self._vips.problems),
            foreign=tuple(observation.plan.foreign),
            vip_problems=self._vips.problems,
            host_problems=tuple(problems),
            orphaned=dict(self._orphaned),
            addresses_in_use=self._vips.addresses_in_use() if dirty is None else {},
            tunnels=observation.tunnels,
            prepared_paths=observation.probes.prepared,
            mended_marks=frozenset() if not_enforced else observation.mended_marks,
            assumed_healthy=observation.assumed_healthy,
            health=observation.health,
        )

    def _observe(self, state: State, dirty: frozenset[str] | None) -> Observation:
        names = state.farm.services.keys() if dirty is None else dirty
        ours = {key: name for key, name in self._claims.items() if dirty is None or name in dirty}
        keys = None if dirty is None else desired_keys(state, names) | ours.keys()
        observed = self._ipvs.snapshot(keys)
        serving = assumed_healthy(state, names, observed)
        if serving:
            state = state.seen({**state.status.health, **serving}, state.status.at)
        desired = compile_desired(state, names)
        probes = ProbePlan()
        if dirty is None:
            probes = self._probes.plan(
                state.tunnel_paths, state.farm, desired.table.keys(), observed
            )
            of_probes = self._probes.keys
            observed = {key: each for key, each in observed.items() if key not in of_probes}
        owner = state.farm.settings.vips
        health = self._quorums.judge(state, desired.states)
        farm_vips = vips_of(state.farm) - self._quorums.withdrawn(state.farm)
        kept = held(desired, observed, ours, state, self._vips.in_place(farm_vips, owner))
        self._kept = self._kept.difference(ours).union(kept)
        plan = diff({**desired.table, **kept}, observed, self._claims.keys())
        sysctls: SysctlPlan = SysctlPlan((), ())
        timeouts: Sequence[SetTimeouts] = ()
        if dirty is None:
            others = () if self._take_sysctls else (*plan.foreign, *plan.conflicts)
            sysctls, timeouts = self._plan_settings(state, others)
        vips = self._vips.plan(farm_vips | held_vips(self._kept), owner, complete=dirty is None)
        return Observation(
            state,
            desired,
            ours,
            kept,
            observed,
            plan,
            timeouts,
            vips,
            sysctls,
            probes,
            health,
            frozenset(serving),
        )

    def _plan_settings(
        self, state: State, others: Sequence[ServiceKey]
    ) -> tuple[SysctlPlan, Sequence[SetTimeouts]]:
        sysctls = wanted_sysctls(state.farm.settings)
        plan = plan_sysctls(sysctls, self._host.observe(sysctls.keys()), [*map(str, others)])
        timeouts = diff_timeouts(state.farm, self._ipvs.timeouts())
        if not others:
            return plan, timeouts
        refused = [f"not done, as other services would feel it: {edit}" for edit in timeouts]
        return SysctlPlan(plan.changes, [*plan.problems, *refused]), ()

    def _write_sysctls(self, observation: Observation) -> Sequence[str]:
        changes = observation.sysctls.changes
        # A change that fails must not keep the others from being made: one call for each.
        results = [self._host.apply([change])[0] for change in changes]
        return [
            f"{change}: {result}"
            for change, result in zip(changes, results, strict=True)
            if not isinstance(result, Done)
        ]

    def _apply(self, operations: Sequence[Operation]) -> Results:
        return [*zip(operations, self._ipvs.apply(operations), strict=True)]

    def _write_table(self, observation: Observation, operations: Sequence[Operation]) -> Results:
        self._claim(
            {
                key: owner
                for key, owner in observation.desired.owners.items()
                if self._claims.get(key) != owner
                and (key in self._claims or key not in observation.observed)
            }
        )
        results = self._apply(operations)
        # Somebody else was faster: what stands there now is theirs.
        theirs = [
            operation.key
            for operation, result in results
            if isinstance(operation, AddService)
            and isinstance(result, Failed)
            and result.errno == errno.EEXIST
        ]
        self._release([*theirs, *observation.gone])
        return results

    def _claim(self, keys: Mapping[ServiceKey, str]) -> None:
        if keys:
            self._local.claim(keys)
            self._claims |= keys

    def _release(self, keys: Collection[ServiceKey]) -> None:
        if keys:
            self._local.release(keys)
            for key in keys:
                del self._claims[key]

    def adoption(self, state: State, names: Collection[str]) -> Adoption:
        """Return which virtual services of others' the named services of the farm could adopt."""
        desired = compile_desired(state, names)
        observed = self._ipvs.snapshot(desired.table.keys())
        owners = {
            key: name
            for key, name in desired.owners.items()
            if key in observed and key not in self._claims
        }
        return Adoption(owners, {key: observed[key] for key in owners})

    def adopt(self, adoption: Adoption, state: State) -> None:
        """Take virtual services, and their VIPs on our device, for ours as they are."""
        self._claim(adoption.owners)
        self._vips.adopt({state.farm.services[name].vip for name in adoption.owners.values()})

    def connections(self, address: IPAddress) -> int:
        """Return the active connections to a real server in all services of ours."""
        return sum(
            destination.active_connections
            for service in self._ipvs.counters(self._claims.keys()).values()
            for key, destination in service.destinations.items()
            if key.address == address
        )

    def open_connections(self, names: Collection[str]) -> Connections:
        """Return what a drain waits for in the named services of ours, by real server."""
        keys = [key for key, name in self._claims.items() if name in names]
        found: Counter[tuple[str, IPAddress]] = Counter()
        for key, service in self._ipvs.counters(keys).items():
            for destination, counters in service.destinations.items():
                at = (self._claims[key], destination.address)
                found[at] += open_connections(key, counters)
        return found

    def table(self) -> TableReading:
        """Read the whole table with its counters."""
        (observed, counters), probes = self._ipvs.counted_snapshot(), self._probes.keys
        return TableReading(
            {key: service for key, service in observed.items() if key not in probes},
            counters,
            self._ipvs.timeouts(),
            dict(self._claims),
            {key: service for key, service in observed.items() if key in probes},
        )

    def path_problems(self, state: State, ways: Sequence[TunnelProbe]) -> Mapping[TunnelProbe, str]:
        """Look at all that probes need that take some ways through the tunnel.

        Returns:
            Why a probe that takes a way counts for nothing; empty where it counts.
        """
        facts = self._probes.facts(state.farm, self._quorums.withdrawn(state.farm))
        return {way: path_problem(way, facts) for way in ways}


def _without_deletions(
    operations: Sequence[Operation], stuck_vips: Collection[IPAddress]
) -> tuple[Sequence[Operation], Sequence[Operation]]:
    """Return operations without those that delete services on VIPs that are stuck, and those."""
    if not stuck_vips:
        return operations, ()
    stuck = [isinstance(op, DeleteService) and _vip(op.key) in stuck_vips for op in operations]
    return [*compress(operations, map(not_, stuck))], [*compress(operations, stuck)]


def _vip(key: ServiceKey) -> IPAddress | None:
    return key.vip if isinstance(key, AddressKey) else None


def _let_go(cycle: Cycle) -> bool:
    return any(view.state is KeyState.HELD for view in cycle.services.values()) and any(
        isinstance(result, Done) for _, result in cycle.results
    )


def _asks_for_another_look(result: Result) -> bool:
    match result:
        case Unknown():
            return True
        case Failed(errno=number):
            return number in STALE_SNAPSHOT
        case _:
            return False
