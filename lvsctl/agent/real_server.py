"""Reconciles a real server's host with its assignment, and undoes it. The only writer."""

import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.desired_host import (
    DesiredHost,
    HostObservation,
    keys_to_observe,
    plan_host,
)
from lvsctl.agent.devices import ServingSpec
from lvsctl.agent.faults import (
    Fault,
    FaultLocation,
    drift_fault,
    excluded_fault,
    ipv6_faults,
    kept_fault,
    mss_faults,
    refusal_fault,
    state_fault,
    unreadable_fault,
    unservable_faults,
    unstable_fault,
)
from lvsctl.agent.findings import Findings
from lvsctl.agent.mss import TABLE, Routing
from lvsctl.agent.policy import conflicting_vips
from lvsctl.agent.readiness import served
from lvsctl.agent.record import Record, assumed_baseline, prune
from lvsctl.agent.vip_addresses import foreign_vips, host_addresses
from lvsctl.errors import KernelError, StoreError
from lvsctl.host.baseline import Baseline, extend, plan_restore
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import (
    AddressKey,
    Host,
    HostChange,
    HostState,
    LinkKey,
    RouteKey,
    RuleKey,
)
from lvsctl.host.plan import changes, satisfies
from lvsctl.messages.model import Finding, Tunnel
from lvsctl.net import Family, IPAddress
from lvsctl.results import Done, Failed

_log = structlog.get_logger()

_MAX_ROUNDS = 9
"""Upper bound: devices, and again for each of three fallback devices that are missing; default;
the rest; what that made possible; removals; and a last round that finds nothing to do."""

_SAFE_TO_REMOVE = (AddressKey, RuleKey, RouteKey)
"""Keys whose removal cannot expose a VIP on the network."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The status of a real server.

    Attributes:
        ready: VIPs that were observed in place with everything they need.
        tunnels: Tunnels that were observed to be accepted.
        findings: Active faults and recent repairs.
    """

    ready: tuple[IPAddress, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Cycle:
    """One reconciliation of the host, over several rounds.

    Attributes:
        first: The observation before any change.
        last: The latest observation.
        desired: The desired state, as of the latest observation.
        faults: What went wrong, by subject.
        refused: Changes that the host refused.
        stopped: The base failed, on which everything else depends.
    """

    first: HostState
    last: HostObservation
    desired: DesiredHost
    faults: dict[str, Fault] = field(default_factory=dict)
    refused: set[HostChange] = field(default_factory=set)
    stopped: bool = False

    def missing(self, wanted: HostState) -> list[HostChange]:
        """Return the changes still to be made for a part of the desired state."""
        todo = changes(wanted, self.last.state)
        return [change for change in todo if change not in self.refused]

    def add(self, fault: Fault) -> None:
        """Add a fault; the first one about a subject is nearest to its cause."""
        self.faults.setdefault(fault.subject, fault)


class RealServer:
    """A host that serves VIPs through tunnels. Belongs to one thread, as its host does.

    Args:
        host: The host.
        record: Its original configuration, as far as recorded.
        save_record: Saves the record; raises StoreError.
        name: The agent's.
        address: The real server's (RIP).
        now: Returns the current time, in UTC.
    """

    def __init__(
        self,
        host: Host,
        record: Record,
        save_record: Callable[[Record], None],
        *,
        name: str,
        address: IPAddress,
        now: Callable[[], datetime],
    ) -> None:
        self._host = host
        self._record = record
        self._save_record = save_record
        self._name = name
        self._address = address
        self._now = now
        self._findings = Findings()
        self._missing_fallbacks: set[str] = set()
        # Keys observed in place; if one is not any more, somebody else changed it.
        self._confirmed = frozenset(record.found) if record.settled else frozenset()

    def check(
        self,
        assignments: Assignments,
        faults: Sequence[Fault] = (),
        directors: Collection[IPAddress] = (),
    ) -> HostStatus:
        """Reconcile the host with its assignments, and return its status.

        Nothing is changed before the first assignment.

        Args:
            assignments: What to serve.
            faults: Faults found elsewhere, to be reported with the others.
            directors: Addresses of directors, which cannot be VIPs.
        """
        location = FaultLocation(self._name)
        active = [*faults]
        if assignments.current is None:
            return self._status(active)
        active += [
            kept_fault(kept, assignments.farm_id, location)
            for kept in assignments.kept
            if kept.vips or kept.tunnel_ends
        ]
        try:
            known = host_addresses(self._host, self._record, self._address, directors)
            conflicting = conflicting_vips(assignments.vips, known, location)
            vips = tuple(vip for vip in assignments.vips if vip not in conflicting)
            spec = ServingSpec(vips, assignments.tunnels, self._address, assignments.mtu)
            cycle = self._run(spec)
        except KernelError as error:
            return self._status([*active, unreadable_fault(str(error), location)])
        active += [*conflicting.values(), *unservable_faults(spec, location)]
        active += [excluded_fault(tunnel, location) for tunnel in cycle.desired.excluded]
        active += ipv6_faults(spec, cycle.desired, cycle.last.state, location)
        active += mss_faults(cycle.desired, location)
        ready, tunnels = served(spec, cycle.desired, cycle.last.state)
        return self._status([*active, *cycle.faults.values()], ready, tunnels)

    def undo(self) -> Sequence[Fault]:
        """Restore the host; return what could not be restored.

        Where a VIP cannot be removed, the sysctls that keep it silent stay.

        Raises:
            KernelError: The host cannot be observed.
        """
        found = self._record.found
        observed = self._host.observe(found)
        cycle = _Cycle(observed, HostObservation(observed), DesiredHost())
        self._restore(plan_restore(found, observed), cycle)
        return tuple(cycle.faults.values())

    def _status(
        self,
        active: Sequence[Fault],
        ready: tuple[IPAddress, ...] = (),
        tunnels: tuple[Tunnel, ...] = (),
    ) -> HostStatus:
        now = self._now()
        self._findings.set_active(active, now)
        return HostStatus(ready, tunnels, self._findings.all(now))

    # One cycle

    def _run(self, spec: ServingSpec) -> _Cycle:
        seen = self._observe(spec)
        cycle = _Cycle(seen.state, seen, plan_host(spec, seen, self._missing_fallbacks))
        for _ in range(_MAX_ROUNDS):
            if not self._advance(spec, cycle):
                break
            cycle.last = self._observe(spec)
            cycle.desired = plan_host(spec, cycle.last, self._missing_fallbacks, cycle.refused)
        self._assess(cycle)
        return cycle

    def _observe(self, spec: ServingSpec) -> HostObservation:
        main = {family: self._host.routes(family) for family in spec.families}
        routes = {key: config for routes in main.values() for key, config in routes.items()}
        keys = keys_to_observe(spec, self._host.links(), routes)
        foreign = foreign_vips(self._host, self._record, spec.servable_vips)
        return HostObservation(
            self._host.observe(dict.fromkeys([*keys, *foreign.values(), *self._record.found])),
            {family: Routing(main[family], self._foreign(family)) for family in main},
            foreign,
        )

    def _foreign(self, family: Family) -> Sequence[RouteKey]:
        """Return the routes in lvsctl's table that somebody else added."""
        if self._record.lost:
            return ()
        found = self._record.found
        return [
            key
            for key in self._host.routes(family, TABLE)
            if key not in found or found[key].found is not None
        ]

    def _advance(self, spec: ServingSpec, cycle: _Cycle) -> bool:
        """Make the next changes; return whether the host must be observed again.

        Additions come first, and removals only once these are in place: a VIP that moves to
        another device is on both for a moment, and never on none.
        """
        missing = cycle.missing(cycle.desired.state)
        obsolete = self._obsolete(spec, cycle)
        try:
            self._record_baseline(cycle)
        except StoreError as error:
            # Without the record on disk nothing could be undone, so nothing is changed.
            cycle.add(state_fault(str(error), FaultLocation(self._name)))
            return False
        if cycle.stopped or not (missing or obsolete):
            return False
        if missing:
            self._set_up(cycle)
        else:
            self._restore(obsolete, cycle)
        return True

    def _set_up(self, cycle: _Cycle) -> None:
        """Make what is missing; a failure holds up only what depends on it."""
        desired = cycle.desired
        for link in desired.conflicting:
            self._restore(self._undo_device(link, cycle), cycle)
        if not self._apply(cycle.missing(desired.base), cycle):
            cycle.stopped = True
            return
        for change in [*cycle.missing(desired.devices), *cycle.missing(desired.ports)]:
            self._apply([change], cycle)
        for plan in desired.mss:
            if self._apply(cycle.missing(plan.routes), cycle):
                self._apply(cycle.missing(plan.rule_state), cycle)
        for change in cycle.missing(desired.addresses):
            self._apply([change], cycle)

    def _undo_device(self, link: LinkKey, cycle: _Cycle) -> Sequence[HostChange]:
        """Return the changes that undo a device of lvsctl's and its addresses on it."""
        found: Baseline = {
            key: entry
            for key, entry in self._record.found.items()
            if key == link or (isinstance(key, AddressKey) and key.link == link.name)
        }
        return plan_restore(found, cycle.last.state)

    def _obsolete(self, spec: ServingSpec, cycle: _Cycle) -> Sequence[HostChange]:
        """Return the changes that undo what lvsctl added and is no longer desired."""
        desired = cycle.desired
        if not desired.complete or (spec.tunnels and not spec.servable_tunnels):
            return ()
        wanted, state = desired.state, cycle.last.state
        rest = {key: entry for key, entry in self._record.found.items() if key not in wanted}

        def may_remove(change: HostChange) -> bool:
            key = change.key
            if not isinstance(key, AddressKey) or key.address.ip not in spec.vips:
                return change not in cycle.refused
            desired_key = desired.vips.get(key.address.ip)
            return desired_key is not None and state[desired_key] is not None

        return [change for change in plan_restore(rest, state) if may_remove(change)]

    def _record_baseline(self, cycle: _Cycle) -> None:
        found = self._record.found
        if self._record.lost:
            found = {**assumed_baseline(cycle.desired.state), **found}
        found = extend(found, cycle.desired.state, cycle.last.state)
        if found != self._record.found:
            self._save(replace(self._record, found=found, settled=False))

    def _assess(self, cycle: _Cycle) -> None:
        location = FaultLocation(self._name, cycle.desired.links)
        wanted = cycle.desired.state
        hindered = bool(cycle.faults)
        for key, config in wanted.items():
            if not satisfies(config, cycle.last.state[key]):
                # What was not tried because of another fault is not a fault of its own.
                if not hindered or key in self._confirmed:
                    fault = drift_fault(key, config, cycle.last.state[key], location)
                    cycle.add(fault or unstable_fault(key, location))
            elif key in self._confirmed and not satisfies(config, cycle.first.get(key)):
                fault = drift_fault(key, config, cycle.first.get(key), location)
                if fault is not None:
                    _log.warning("repaired", subject=fault.subject, detail=fault.detail)
                    self._findings.record_repair(fault, self._now())
        if cycle.desired.complete and not cycle.faults:
            self._confirmed = frozenset(wanted)
            self._settle(cycle)

    def _settle(self, cycle: _Cycle) -> None:
        found = prune(self._record.found, cycle.desired.state, cycle.last.state)
        record = replace(self._record, found=found, settled=True)
        if record != self._record:
            try:
                self._save(record)
            except StoreError as error:
                cycle.add(state_fault(str(error), FaultLocation(self._name)))

    def _save(self, record: Record) -> None:
        self._save_record(record)
        self._record = record

    # Changes

    def _restore(self, undoing: Sequence[HostChange], cycle: _Cycle) -> None:
        """Apply undo changes; if an address cannot be removed, keep the sysctls that silence it."""
        for change in undoing:
            if cycle.faults and not isinstance(change.key, _SAFE_TO_REMOVE):
                return
            self._apply([change], cycle)

    def _apply(self, wanted: Sequence[HostChange], cycle: _Cycle) -> bool:
        """Apply dependent changes in order; return whether all succeeded."""
        for change, result in zip(wanted, self._host.apply(wanted), strict=True):
            match result:
                case Done():
                    _log.info("host changed", change=str(change))
                case Failed() if _no_fallback_device(change, result):
                    _log.info("no fallback device", device=str(change.key), reason=str(result))
                    self._missing_fallbacks.add(str(change.key))
                    return False
                case Failed():
                    _log.error("host refused", change=str(change), reason=str(result))
                    cycle.refused.add(change)
                    cycle.add(refusal_fault(change, result, FaultLocation(self._name)))
                    return False
        return True


def _no_fallback_device(change: HostChange, failed: Failed) -> bool:
    return (
        failed.errno == errno.ENODEV
        and isinstance(change.key, LinkKey)
        and change.key.name in FALLBACK_DEVICES
    )
