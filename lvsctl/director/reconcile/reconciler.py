"""The only writer of the director's kernel: observes, decides and writes, in cycles."""

import errno
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.reconcile.decision import Decision, Memory, decide
from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.reconcile.observer import Observer
from lvsctl.director.reconcile.outcome import cycle_of
from lvsctl.director.reconcile.phases import Phases
from lvsctl.director.reconcile.probe_services import OWNER, ProbeServices
from lvsctl.director.reconcile.readings import Claims
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


class Reconciler:
    """Makes this director's kernel equal to a state; belongs to one thread.

    Args:
        ipvs: The virtual services.
        host: Addresses, routes and parameters.
        placements: The VIPs.
        probes: The virtual services of health checks.
        local: Which virtual services are ours.
        take_sysctls: Write settings even where foreign services feel them.
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
        cycle, is_final = self._cycle(state, dirty, not_enforced)
        if is_final:
            return cycle
        again, _ = self._cycle(state, dirty, not_enforced)
        return replace(
            again,
            operations=(*cycle.operations, *again.operations),
            results=(*cycle.results, *again.results),
            tunnels=together(cycle.tunnels, again.tunnels),
            mended_marks=cycle.mended_marks | again.mended_marks,
            assumed_healthy=cycle.assumed_healthy | again.assumed_healthy,
        )

    def _cycle(
        self, state: State, dirty: frozenset[str] | None, not_enforced: Reason | None
    ) -> tuple[Cycle, bool]:
        """Return the account of one cycle, and whether it needs no second one."""
        observation = self._observer.observe(state, dirty, self._table.claims)
        decision = decide(state, dirty, observation, self._memory, take_sysctls=self._take_sysctls)
        placement = self._placements[decision.vip_owner]
        vip_changes = placement.planned(decision.vips) if dirty is None else ()
        written = None if not_enforced else self._phases.run(decision)
        warnings = placement.warnings() if dirty is None else ()
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
        self._memory = replace(decision.memory, serving=serving, orphaned=cycle.orphaned)
        stale = any(_is_stale(result) for _, result in cycle.results)
        return cycle, not stale and not (written and _lets_go(decision, written, placements))

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
