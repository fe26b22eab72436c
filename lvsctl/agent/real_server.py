"""The one writer of a real server's host: makes it as assigned, keeps it so, and undoes it."""

import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.desired_host import (
    DesiredHost,
    HostObservation,
    ServingSpec,
    keys_to_observe,
    set_up,
)
from lvsctl.agent.faults import (
    Fault,
    Place,
    excluded_fault,
    fault_of,
    ipv6_faults,
    kept_fault,
    mss_faults,
    refusal_fault,
    state_fault,
    unreadable_fault,
    unservable_faults,
    unsettled_fault,
)
from lvsctl.agent.findings import Findings
from lvsctl.agent.mss import TABLE, Routing
from lvsctl.agent.policy import unfit_vips
from lvsctl.agent.readiness import served
from lvsctl.agent.record import Record, presumed, pruned
from lvsctl.agent.vip_addresses import foreign_vips, host_addresses
from lvsctl.errors import KernelError, StoreError
from lvsctl.host.baseline import Baseline, extended, restored
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

_ROUNDS = 9
"""Devices, again for each of three fallback devices that is not to be had; default; the rest; what
that brought with it; what is no longer wanted; and one to see that nothing is left."""

_FREE_TO_GO = (AddressKey, RuleKey, RouteKey)
"""What no VIP is kept silent or reached by."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a real server is.

    Attributes:
        ready: VIPs that were seen in place with everything they need.
        tunnels: Types of tunnel that were seen to be accepted.
        findings: What was or is wrong.
    """

    ready: tuple[IPAddress, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Cycle:
    """One comparison of host and task, over several rounds.

    Attributes:
        first: What was observed before anything was changed.
        last: What was observed last.
        goal: What the host should be, as of the last observation.
        faults: What stands in the way, by subject.
        refused: Changes that the host refused.
        stopped: What everything else builds on cannot be made.
    """

    first: HostState
    last: HostObservation
    goal: DesiredHost
    faults: dict[str, Fault] = field(default_factory=dict)
    refused: set[HostChange] = field(default_factory=set)
    stopped: bool = False

    def missing(self, wanted: HostState) -> list[HostChange]:
        """Return what is still to be done for a part of the goal."""
        todo = changes(wanted, self.last.state)
        return [change for change in todo if change not in self.refused]

    def add(self, fault: Fault) -> None:
        """Take note of a fault; the first one about a thing is nearest to its cause."""
        self.faults.setdefault(fault.subject, fault)


class RealServer:
    """A host that serves VIPs through tunnels. Belongs to one thread, as its host does.

    Args:
        host: The host.
        record: How it was found, as far as it was recorded.
        keep_record: Writes the record to the disk; raises StoreError.
        name: The agent's.
        address: The real server's (RIP).
        now: The present time, in UTC.
    """

    def __init__(
        self,
        host: Host,
        record: Record,
        keep_record: Callable[[Record], None],
        *,
        name: str,
        address: IPAddress,
        now: Callable[[], datetime],
    ) -> None:
        self._host = host
        self._record = record
        self._keep_record = keep_record
        self._name = name
        self._address = address
        self._now = now
        self._findings = Findings()
        self._without: set[str] = set()
        # What was in place when it was last looked at, and so can only have been changed since.
        self._in_place = frozenset(record.found) if record.settled else frozenset()

    def check(
        self,
        assignments: Assignments,
        faults: Sequence[Fault] = (),
        directors: Collection[IPAddress] = (),
    ) -> Condition:
        """Make the host as assigned, and tell how it is.

        Nothing is touched before a first assignment is known.

        Args:
            assignments: What to serve.
            faults: What else is wrong, to be reported along.
            directors: Addresses of directors, which cannot be VIPs.
        """
        place = Place(self._name)
        standing = [*faults]
        if assignments.current is None:
            return self._condition(standing)
        standing += [
            kept_fault(kept, assignments.farm_id, place)
            for kept in assignments.kept
            if kept.vips or kept.tunnel_ends
        ]
        try:
            known = host_addresses(self._host, self._record, self._address, directors)
            unfit = unfit_vips(assignments.vips, known, place)
            vips = tuple(vip for vip in assignments.vips if vip not in unfit)
            task = ServingSpec(vips, assignments.tunnels, self._address, assignments.mtu)
            cycle = self._run(task)
        except KernelError as error:
            return self._condition([*standing, unreadable_fault(str(error), place)])
        standing += [*unfit.values(), *unservable_faults(task, place)]
        standing += [excluded_fault(tunnel, place) for tunnel in cycle.goal.excluded]
        standing += ipv6_faults(task, cycle.goal, cycle.last.state, place)
        standing += mss_faults(cycle.goal, place)
        ready, tunnels = served(task, cycle.goal, cycle.last.state)
        return self._condition([*standing, *cycle.faults.values()], ready, tunnels)

    def undo(self) -> Sequence[Fault]:
        """Make the host as it was found; return what stood in the way.

        Where a VIP cannot be removed, the sysctls that keep it silent stay.

        Raises:
            KernelError: The host cannot be observed.
        """
        found = self._record.found
        observed = self._host.observe(found)
        cycle = _Cycle(observed, HostObservation(observed), DesiredHost())
        self._restore(restored(found, observed), cycle)
        return tuple(cycle.faults.values())

    def _condition(
        self,
        standing: Sequence[Fault],
        ready: tuple[IPAddress, ...] = (),
        tunnels: tuple[Tunnel, ...] = (),
    ) -> Condition:
        now = self._now()
        self._findings.standing(standing, now)
        return Condition(ready, tunnels, self._findings.all(now))

    # One cycle

    def _run(self, task: ServingSpec) -> _Cycle:
        seen = self._observe(task)
        cycle = _Cycle(seen.state, seen, set_up(task, seen, self._without))
        for _ in range(_ROUNDS):
            if not self._advance(task, cycle):
                break
            cycle.last = self._observe(task)
            cycle.goal = set_up(task, cycle.last, self._without, cycle.refused)
        self._conclude(cycle)
        return cycle

    def _observe(self, task: ServingSpec) -> HostObservation:
        main = {family: self._host.routes(family) for family in task.families}
        routes = {key: config for routes in main.values() for key, config in routes.items()}
        keys = keys_to_observe(task, self._host.links(), routes)
        foreign = foreign_vips(self._host, self._record, task.servable_vips)
        return HostObservation(
            self._host.observe(dict.fromkeys([*keys, *foreign.values(), *self._record.found])),
            {family: Routing(main[family], self._foreign(family)) for family in main},
            foreign,
        )

    def _foreign(self, family: Family) -> Sequence[RouteKey]:
        """Return the routes in our table that somebody else put there."""
        if self._record.lost:
            return ()
        found = self._record.found
        return [
            key
            for key in self._host.routes(family, TABLE)
            if key not in found or found[key].found is not None
        ]

    def _advance(self, task: ServingSpec, cycle: _Cycle) -> bool:
        """Make the next changes; return whether there is anything new to look at.

        What is wanted comes first, and only when it is in place, what is not goes: a VIP that
        moves to another device is on both for a moment, and never on none.
        """
        missing = cycle.missing(cycle.goal.wanted)
        leftovers = self._leftovers(task, cycle)
        try:
            self._remember(cycle)
        except StoreError as error:
            # Without the record nothing could be undone, so nothing is done.
            cycle.add(state_fault(str(error), Place(self._name)))
            return False
        if cycle.stopped or not (missing or leftovers):
            return False
        if missing:
            self._make(cycle)
        else:
            self._restore(leftovers, cycle)
        return True

    def _make(self, cycle: _Cycle) -> None:
        """Make what is missing; what fails holds up only what needs it."""
        goal = cycle.goal
        for link in goal.in_the_way:
            self._restore(self._of_device(link, cycle), cycle)
        if not self._apply(cycle.missing(goal.base), cycle):
            cycle.stopped = True
            return
        for change in [*cycle.missing(goal.devices), *cycle.missing(goal.ports)]:
            self._apply([change], cycle)
        for plan in goal.mss:
            if self._apply(cycle.missing(plan.routes), cycle):
                self._apply(cycle.missing(plan.wanted_rules), cycle)
        for change in cycle.missing(goal.addresses):
            self._apply([change], cycle)

    def _of_device(self, link: LinkKey, cycle: _Cycle) -> Sequence[HostChange]:
        """Return what undoes a device of ours, with our addresses on it."""
        found: Baseline = {
            key: entry
            for key, entry in self._record.found.items()
            if key == link or (isinstance(key, AddressKey) and key.link == link.name)
        }
        return restored(found, cycle.last.state)

    def _leftovers(self, task: ServingSpec, cycle: _Cycle) -> Sequence[HostChange]:
        """Return what undoes that which is ours and no longer wanted."""
        goal = cycle.goal
        if not goal.whole or (task.tunnels and not task.servable_tunnels):
            return ()
        wanted, state = goal.wanted, cycle.last.state
        rest = {key: entry for key, entry in self._record.found.items() if key not in wanted}

        def may_go(change: HostChange) -> bool:
            key = change.key
            if not isinstance(key, AddressKey) or key.address.ip not in task.vips:
                return change not in cycle.refused
            stands_at = goal.vips.get(key.address.ip)
            return stands_at is not None and state[stands_at] is not None

        return [change for change in restored(rest, state) if may_go(change)]

    def _remember(self, cycle: _Cycle) -> None:
        found = self._record.found
        if self._record.lost:
            found = {**presumed(cycle.goal.wanted), **found}
        found = extended(found, cycle.goal.wanted, cycle.last.state)
        if found != self._record.found:
            self._keep(replace(self._record, found=found, settled=False))

    def _conclude(self, cycle: _Cycle) -> None:
        place = Place(self._name, cycle.goal.links)
        wanted = cycle.goal.wanted
        hindered = bool(cycle.faults)
        for key, config in wanted.items():
            if not satisfies(config, cycle.last.state[key]):
                # What was not even tried, because of a fault, is no fault of its own.
                if not hindered or key in self._in_place:
                    fault = fault_of(key, config, cycle.last.state[key], place)
                    cycle.add(fault or unsettled_fault(key, place))
            elif key in self._in_place and not satisfies(config, cycle.first.get(key)):
                fault = fault_of(key, config, cycle.first.get(key), place)
                if fault is not None:
                    _log.warning("mended", subject=fault.subject, detail=fault.detail)
                    self._findings.mended(fault, self._now())
        if cycle.goal.whole and not cycle.faults:
            self._in_place = frozenset(wanted)
            self._settle(cycle)

    def _settle(self, cycle: _Cycle) -> None:
        found = pruned(self._record.found, cycle.goal.wanted, cycle.last.state)
        record = replace(self._record, found=found, settled=True)
        if record != self._record:
            try:
                self._keep(record)
            except StoreError as error:
                cycle.add(state_fault(str(error), Place(self._name)))

    def _keep(self, record: Record) -> None:
        self._keep_record(record)
        self._record = record

    # Changes

    def _restore(self, undoing: Sequence[HostChange], cycle: _Cycle) -> None:
        """Make changes that undo ours; where an address stays, what keeps it silent stays."""
        for change in undoing:
            if cycle.faults and not isinstance(change.key, _FREE_TO_GO):
                return
            self._apply([change], cycle)

    def _apply(self, wanted: Sequence[HostChange], cycle: _Cycle) -> bool:
        """Make changes that build on each other; return whether all were made."""
        for change, result in zip(wanted, self._host.apply(wanted), strict=True):
            match result:
                case Done():
                    _log.info("host changed", change=str(change))
                case Failed() if _no_fallback_device(change, result):
                    _log.info("no fallback device", device=str(change.key), reason=str(result))
                    self._without.add(str(change.key))
                    return False
                case Failed():
                    _log.error("host refused", change=str(change), reason=str(result))
                    cycle.refused.add(change)
                    cycle.add(refusal_fault(change, result, Place(self._name)))
                    return False
        return True


def _no_fallback_device(change: HostChange, failed: Failed) -> bool:
    return (
        failed.errno == errno.ENODEV
        and isinstance(change.key, LinkKey)
        and change.key.name in FALLBACK_DEVICES
    )
