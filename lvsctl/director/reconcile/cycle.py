"""What one run of the reconciler found and did, and what is known of the kernel because of it."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lvsctl.director.reconcile.tunnel_use import TunnelsInUse
from lvsctl.health.marks import TunnelPath
from lvsctl.health.path import PreparedPath
from lvsctl.health.target import TargetId
from lvsctl.host.interface import HostChange
from lvsctl.ipvs.table import FwmarkKey, IpvsTable, Operation, ServiceCounters, ServiceKey, Timeouts
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason
from lvsctl.results import Result


class KeyState(enum.StrEnum):
    """State of one of our virtual services in the kernel."""

    APPLIED = "applied"
    PENDING = "pending"
    CONFLICT = "conflict"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class KeyView:
    """What is known of one virtual service.

    Attributes:
        service: Name of the farm's service that it is for.
        state: Its state in the kernel.
        reason: Why it is not applied, with the cure; None where it is.
    """

    service: str
    state: KeyState
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """The health of a pool's servers as it concerns one service.

    Attributes:
        healthy: How many are healthy and take new connections.
        panic: Why servers serve that are not healthy; None where none does.
        sorry: The sorry server takes the new connections.
        lost_quorum: Why its quorum is lost; None where it has it, or wants none.
        withdrawn: Its VIP is kept off this director for that.
        next_change: When a weight changes by itself, in UTC; None when it does not.
        weights: What each server of a checked pool is to have; empty where none is checked.
    """

    healthy: int
    panic: Reason | None = None
    sorry: bool = False
    lost_quorum: Reason | None = None
    withdrawn: bool = False
    next_change: datetime | None = None
    weights: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One run of the reconciler.

    Attributes:
        revision: Of the state that it worked towards.
        dirty: Services that it observed; None for everything.
        completes_resync: Everything else was compared before, and is as it should be.
        operations: What it planned for the table, in order.
        results: What became of those that were tried, in order; empty where nothing was written.
        host_changes: What it planned for VIPs and sysctls.
        services: What is now known of each key that it observed.
        foreign: Keys that are not ours; only a complete one finds them.
        vip_problems: Why a VIP is not on this director.
        host_problems: What is wrong with this host otherwise.
        orphaned: Our services that stand although the farm no longer names them.
        addresses_in_use: This host's own addresses and gateways, with what they are; only a
            complete one finds them.
        tunnels: What our services that it observed used towards agents' addresses when
            it began.
        prepared_paths: What probes through the tunnel are sent with; only a complete one has them.
        mended_marks: The marks of probes whose services were not as they should be.
        assumed_healthy: Servers that serve in the kernel and were never checked.
        health: Health of each service that it observed.
    """

    revision: int
    dirty: frozenset[str] | None
    operations: tuple[Operation, ...] = ()
    results: tuple[tuple[Operation, Result], ...] = ()
    host_changes: tuple[HostChange, ...] = ()
    services: Mapping[ServiceKey, KeyView] = field(default_factory=dict)
    foreign: tuple[ServiceKey, ...] = ()
    vip_problems: Mapping[IPAddress, Reason] = field(default_factory=dict)
    host_problems: tuple[Reason, ...] = ()
    orphaned: IpvsTable = field(default_factory=dict)
    addresses_in_use: Mapping[IPAddress, str] = field(default_factory=dict)
    tunnels: TunnelsInUse = field(default_factory=dict)
    prepared_paths: Mapping[TunnelPath, PreparedPath] = field(default_factory=dict)
    mended_marks: frozenset[FwmarkKey] = frozenset()
    assumed_healthy: frozenset[TargetId] = frozenset()
    health: Mapping[str, ServiceHealth] = field(default_factory=dict)
    completes_resync: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it tells of the whole, and not of some services alone."""
        return self.dirty is None or self.completes_resync

    @property
    def conflicts(self) -> Sequence[ServiceKey]:
        """Keys that the farm wants and that somebody else created."""
        return [key for key, view in self.services.items() if view.state is KeyState.CONFLICT]


@dataclass(frozen=True, slots=True)
class KernelView:
    """What all cycles so far have shown.

    Attributes:
        revision: Of the state that the last cycle saw; -1 before the first.
        at: When that was, in UTC.
        services: What is known of each of our keys.
        keys: Each service's keys among these.
        foreign: Keys that are not ours, as of the last complete cycle.
        vips: Why a VIP is not on this director.
        host: What is wrong with this host otherwise.
        orphaned: Our services that stand although the farm no longer names them.
        addresses_in_use: This host's own addresses and gateways, with what they are.
        prepared_paths: What probes through the tunnel are sent with.
        health: Health of each service.
        error: Why the last cycle failed as a whole; None if it did not.
    """

    revision: int = -1
    at: datetime | None = None
    services: Mapping[ServiceKey, KeyView] = field(default_factory=dict)
    keys: Mapping[str, frozenset[ServiceKey]] = field(default_factory=dict)
    foreign: tuple[ServiceKey, ...] = ()
    vips: Mapping[IPAddress, Reason] = field(default_factory=dict)
    host: tuple[Reason, ...] = ()
    orphaned: IpvsTable = field(default_factory=dict)
    addresses_in_use: Mapping[IPAddress, str] = field(default_factory=dict)
    prepared_paths: Mapping[TunnelPath, PreparedPath] = field(default_factory=dict)
    health: Mapping[str, ServiceHealth] = field(default_factory=dict)
    error: Reason | None = None

    def after(self, cycle: Cycle, at: datetime) -> "KernelView":
        """Return the view that a cycle leads to; a partial one leaves the rest as it was."""
        services: dict[ServiceKey, KeyView] = {}
        keys: dict[str, frozenset[ServiceKey]] = {}
        health: dict[str, ServiceHealth] = {}
        if cycle.dirty is not None:
            services, keys, health = dict(self.services), dict(self.keys), dict(self.health)
            for name in cycle.dirty:
                for key, _ in self.of_service(name):
                    del services[key]
                keys.pop(name, None)
                health.pop(name, None)
        if cycle.is_complete:
            foreign, host = cycle.foreign, cycle.host_problems
            addresses_in_use, paths = cycle.addresses_in_use, cycle.prepared_paths
        else:
            foreign, host = self.foreign, self.host
            addresses_in_use, paths = self.addresses_in_use, self.prepared_paths
        for key, view in cycle.services.items():
            services[key] = view
            keys[view.service] = keys.get(view.service, frozenset()) | {key}
        return KernelView(
            revision=cycle.revision,
            at=at,
            services=services,
            keys=keys,
            foreign=foreign,
            vips=cycle.vip_problems,
            host=host,
            orphaned=cycle.orphaned,
            addresses_in_use=addresses_in_use,
            prepared_paths=paths,
            health=health | dict(cycle.health),
        )

    def of_service(self, name: str) -> Iterator[tuple[ServiceKey, KeyView]]:
        """Yield what is known of the keys of a service."""
        for key in self.keys.get(name, ()):
            view = self.services.get(key)
            if view and view.service == name:  # another service may have taken its key over
                yield key, view

    @property
    def next_change(self) -> datetime | None:
        """When a weight changes by itself, in UTC; None when none does."""
        times = (each.next_change for each in self.health.values() if each.next_change)
        return min(times, default=None)


@dataclass(frozen=True, slots=True)
class TableReading:
    """The kernel's table with its counters.

    Attributes:
        table: Every virtual service, ours and others', but those of health checks.
        counters: Traffic of each.
        timeouts: Idle times in force.
        ours: The farm's service for each key that is ours.
        probes: Those of health checks.
    """

    table: IpvsTable
    counters: Mapping[ServiceKey, ServiceCounters]
    timeouts: Timeouts
    ours: Mapping[ServiceKey, str]
    probes: IpvsTable = field(default_factory=dict)
