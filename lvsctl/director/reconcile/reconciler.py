"""The only writer of the director's kernel: observes, decides and writes, in cycles."""

import errno
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from lvsctl.director.reconcile.compiled import CompiledServices
from lvsctl.director.reconcile.cycle import Cycle, KeyState
from lvsctl.director.reconcile.decision import Decision, Memory, decide
from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.reconcile.observation import Observation
from lvsctl.director.reconcile.observer import Observer
from lvsctl.director.reconcile.outcome import cycle_of
from lvsctl.director.reconcile.phases import Phases
from lvsctl.director.reconcile.probe_services import OWNER, ProbeServices
from lvsctl.director.reconcile.readings import Claims
from lvsctl.director.reconcile.resync import Resync
from lvsctl.director.reconcile.serving import Serving
from lvsctl.director.reconcile.sysctls import SysctlTarget
from lvsctl.director.reconcile.table import TableWriter
from lvsctl.director.reconcile.timeouts import TimeoutTarget
from lvsctl.director.reconcile.tunnel_use import together
from lvsctl.director.reconcile.written import Written
from lvsctl.director.state import State
from lvsctl.director.vips.interface import Placement
from lvsctl.director.vips.placements import Placements
from lvsctl.director.write.adoption import Adoption
from lvsctl.health.path import TunnelProbe, path_problem
from lvsctl.host.interface import Host
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import AddService, ServiceKey
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done, Failed, Result, Unknown
from lvsctl.store.interface import LocalState

STALE_SNAPSHOT = frozenset({errno.EEXIST, errno.ENOENT, errno.ESRCH})
"""What the kernel says when the table changed between the observation and the write."""

MOST_OBSERVED_AGAIN = 32
"""Services that were written while everything was compared; beyond it, that begins anew."""


class Reconciler:
    """Makes this director's kernel equal to a state; belongs to one thread.

    Args:
        ipvs: The virtual services.
        host: Addresses, routes and parameters.
        placements: The VIPs.
        probes: The virtual services of health checks.
        local: Which virtual services are ours.
        take_sysctls: Write settings even where foreign services feel them.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self,
        ipvs: Ipvs,
        host: Host,
        placements: Placements,
        probes: ProbeServices,
        local: LocalState,
        *,
        take_sysctls: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        targets = (SysctlTarget(host), TimeoutTarget(ipvs))
        self._ipvs = ipvs
        self._placements = placements
        self._probes = probes
        self._take_sysctls = take_sysctls
        self._table = TableWriter(ipvs, local, OWNER)
        self._observer = Observer(ipvs, host, placements, probes, targets)
        self._phases = Phases(probes, targets, placements, self._table)
        self._memory = Memory()
        self._monotonic = monotonic
        self._compiled = CompiledServices()
        self._writes = 0
        self._written: dict[str, int] = {}

    def cycle(
        self, state: State, dirty: frozenset[str] | None, not_enforced: Reason | None
    ) -> Cycle:
        """Observe, decide, and write what differs.

        This is done a second time where the kernel's answers show that the table changed
        meanwhile, and where what was written lets something go that was held for it.

        Args:
            state: What should be.
            dirty: Names of services to observe; None for everything.
            not_enforced: Why nothing may be written; empty where it may.

        Raises:
            KernelError: The kernel could not be read, or refused everything.
            StoreError: A claim could not be made durable; nothing was added.
        """
        return self._twice(
            state, not_enforced, lambda: self._observer.observe(state, dirty, self._table.claims)
        )

    def begin_resync(self) -> Resync:
        """Begin a comparison of everything, which goes on slice by slice.

        Cycles of some services may run between its slices.
        """
        return Resync(
            self._ipvs, self._compiled, lambda: self.claims, self._writes, self._monotonic
        )

    def finish_resync(
        self,
        resync: Resync,
        state: State,
        not_enforced: Reason | None,
        *,
        whatever_was_written: bool,
    ) -> Cycle | None:
        """Observe, decide and write what a comparison of everything has found to differ.

        What was written while it was under way is observed again, so that what is known of the
        whole afterwards is as if nothing had been.

        Args:
            resync: Which has compared everything.
            state: What should be.
            not_enforced: Why nothing may be written; empty where it may.
            whatever_was_written: Do so however much was written meanwhile.

        Returns:
            None where so much was written meanwhile that it should begin anew.

        Raises:
            KernelError, StoreError: As for :meth:`cycle`.
        """
        written = {name for name, at in self._written.items() if at > resync.began}
        if len(written) > MOST_OBSERVED_AGAIN and not whatever_was_written:
            return None
        farm = state.farm.services
        self._written = {
            name: at for name, at in self._written.items() if name in farm or name in written
        }
        names = frozenset(resync.differing | written | self._memory.unapplied)
        return self._twice(
            state,
            not_enforced,
            lambda: self._observer.conclude(state, names, self._table.claims, resync),
        )

    def _twice(
        self, state: State, not_enforced: Reason | None, observe: Callable[[], Observation]
    ) -> Cycle:
        cycle, is_final = self._cycle(state, not_enforced, observe())
        if is_final:
            return cycle
        again, _ = self._cycle(state, not_enforced, observe())
        return replace(
            again,
            operations=(*cycle.operations, *again.operations),
            results=(*cycle.results, *again.results),
            tunnels=together(cycle.tunnels, again.tunnels),
            mended_marks=cycle.mended_marks | again.mended_marks,
            assumed_healthy=cycle.assumed_healthy | again.assumed_healthy,
        )

    def _cycle(
        self, state: State, not_enforced: Reason | None, observation: Observation
    ) -> tuple[Cycle, bool]:
        """Return the account of one cycle, and whether it needs no second one."""
        decision = decide(state, observation, self._memory, take_sysctls=self._take_sysctls)
        placement = self._placements[decision.vip_owner]
        vip_changes = placement.planned(decision.vips) if observation.whole else ()
        written = None if not_enforced else self._phases.run(decision)
        warnings = placement.warnings() if observation.whole else ()
        added = written.done(AddService) if written else frozenset[ServiceKey]()
        serving = decision.serving(added)
        placements = placement.holds()
        cycle = cycle_of(
            decision,
            written,
            placements,
            vip_changes=vip_changes,
            warnings=warnings,
            not_enforced=not_enforced,
        )
        self._remember(decision, cycle, serving)
        stale = any(_is_stale(result) for _, result in cycle.results)
        late = self._has_late_problems(decision)
        lets_go = written is not None and _lets_go(decision, written, placements)
        return cycle, not (stale or late or lets_go)

    def _remember(self, decision: Decision, cycle: Cycle, serving: Serving) -> None:
        dirty = decision.observation.dirty
        unapplied = {
            view.service for view in cycle.services.values() if view.state is not KeyState.APPLIED
        }
        before = self._memory.unapplied - dirty if dirty is not None else frozenset()
        self._memory = replace(
            decision.memory,
            serving=serving,
            orphaned=cycle.orphaned,
            unapplied=before | unapplied,
        )
        if cycle.results:
            self._writes += 1
            names = decision.state.farm.services.keys() if dirty is None else dirty
            self._written |= dict.fromkeys(names, self._writes)

    def _has_late_problems(self, decision: Decision) -> bool:
        """Tell whether VIPs have got problems of whose services nothing is said yet."""
        observation = decision.observation
        return bool(
            observation.whole
            and observation.dirty is not None
            and not self._observer.unplaced(decision.state) <= observation.dirty
        )

    def adoption(self, state: State, names: Collection[str]) -> Adoption:
        """Return which foreign virtual services the named services of the farm could adopt."""
        desired = compile_desired(state, names)
        observed = self._ipvs.snapshot(desired.table.keys())
        claims = self._table.claims
        owners = {
            key: name
            for key, name in desired.owners.items()
            if key in observed and key not in claims
        }
        return Adoption(owners, {key: observed[key] for key in owners})

    def adopt(self, adoption: Adoption, state: State) -> None:
        """Take virtual services, and their VIPs on our device, for ours as they are."""
        self._table.claim(adoption.owners)
        vips = {state.farm.services[name].vip for name in adoption.owners.values()}
        self._placements[state.farm.settings.vips].adopt(vips)

    @property
    def claims(self) -> Claims:
        """What is ours at this moment; a frozen value, for any thread."""
        return Claims(self._table.claims, self._probes.keys)

    def path_problems(
        self, state: State, ways: Sequence[TunnelProbe]
    ) -> Mapping[TunnelProbe, Reason | None]:
        """Observe what probes need that take some ways through the tunnel.

        Returns:
            Why a probe that takes a way counts for nothing; empty where it counts.
        """
        facts = self._probes.facts(state.farm, self._memory.quorums.withdrawn(state.farm))
        return {way: path_problem(way, facts) for way in ways}


def _lets_go(
    decision: Decision, written: Written, placements: Mapping[IPAddress, Placement]
) -> bool:
    """Tell whether something is held whose service may serve in its new place by now."""
    before = decision.observation.placements
    return bool(decision.held) and (
        any(isinstance(result, Done) for _, result in (*written.table, *written.settings))
        or any(each.is_placed and before.get(vip) != each for vip, each in placements.items())
    )


def _is_stale(result: Result) -> bool:
    match result:
        case Unknown():
            return True
        case Failed(errno=number):
            return number in STALE_SNAPSHOT
        case _:
            return False
