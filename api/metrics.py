"""Metrics for Prometheus. Pure, except for those of this process.

Names, units and types keep to https://prometheus.io/docs/practices/naming: counters that only
grow, seconds and bytes, times as Unix timestamps; rates are left to ``rate()``. Responses bypass a
director in tunnel mode, so there are no counters of outgoing packets.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from api.exposition import MetricFamily, Sample, exposition, labels
from api.health_metrics import health_metrics
from api.histograms import histogram_samples
from api.pieces import joined
from api.views import DirectorSnapshot
from lvsctl.director.checks.statistics import ProbeCounts
from lvsctl.director.reconcile.cycle import KeyState, TableReading
from lvsctl.director.reconcile.statistics import CycleStatistics
from lvsctl.ipvs.table import DestinationCounters, Traffic
from lvsctl.net import IPAddress

CountersT = TypeVar("CountersT")

TRAFFIC: Mapping[str, tuple[str, Callable[[Traffic], int]]] = {
    "connections": ("Connections scheduled", lambda traffic: traffic.connections),
    "incoming_packets": ("Packets from clients", lambda traffic: traffic.in_packets),
    "incoming_bytes": ("Bytes from clients", lambda traffic: traffic.in_bytes),
}
PRESENT: Mapping[str, tuple[str, Callable[[DestinationCounters], int]]] = {
    "active_connections": ("Established connections", lambda found: found.active_connections),
    "inactive_connections": (
        "Connections that are opening or closing, and all UDP connections",
        lambda found: found.inactive_connections,
    ),
    "persistent_connections": (
        "Clients bound to it by persistence",
        lambda found: found.persistent_connections,
    ),
}


@dataclass(frozen=True, slots=True)
class ScrapeInput:
    """The input of one scrape.

    Attributes:
        director: Name of the director.
        snapshot: What the director knows.
        observes: Whether it is paused (mode observe).
        reading: The kernel's table; None if it could not be read.
        statistics: Statistics of its cycles.
        probes: Statistics of health-check probes.
    """

    director: str
    snapshot: DirectorSnapshot
    observes: bool
    reading: TableReading | None
    statistics: CycleStatistics
    probes: ProbeCounts


def metrics_text(scraped: ScrapeInput) -> Sequence[bytes]:
    """Return all metrics in Prometheus' text format, in pieces.

    Run this in a thread: ten thousand destinations are 70,000 samples and take tenths of a second.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    return [*joined(chain(exposition(_families(scraped)), [generate_latest(registry)]))]


def _families(scraped: ScrapeInput) -> Iterator[MetricFamily]:
    yield _build(scraped)
    yield from _reconciler(scraped.statistics)
    yield from _farm(scraped)
    yield from _agents(scraped.snapshot)
    yield from _real_servers(scraped.snapshot)
    yield from health_metrics(scraped.snapshot, scraped.probes)
    yield _gauge(
        "lvsctl_ipvs_readable", "The kernel's table could be read", scraped.reading is not None
    )
    if scraped.reading:
        yield from _services(scraped.reading)
        yield from _destinations(scraped.reading, _names(scraped.snapshot))


def _gauge(name: str, meaning: str, value: float) -> MetricFamily:
    number = int(value) if isinstance(value, bool) else value
    return MetricFamily(name, "gauge", meaning, [("", number)])


def _build(scraped: ScrapeInput) -> MetricFamily:
    values = labels(version=version("lvsctl"), director=scraped.director)
    return MetricFamily("lvsctl_build_info", "gauge", "This director", [(values, 1)])


def _reconciler(statistics: CycleStatistics) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "lvsctl_reconciler_cycle_duration_seconds",
        "histogram",
        "Duration of a cycle, which compares this director's kernel with the farm and corrects it",
        histogram_samples(statistics.durations, statistics.total_s),
    )
    yield MetricFamily(
        "lvsctl_reconciler_failed_cycles_total",
        "counter",
        "Cycles that failed as a whole",
        [("", statistics.failed)],
    )
    yield MetricFamily(
        "lvsctl_reconciler_operations_total",
        "counter",
        "Operations on the IPVS table, by result",
        [
            (labels(operation=operation, result=result), count)
            for (operation, result), count in sorted(statistics.operations.items())
        ],
    )


def _farm(scraped: ScrapeInput) -> Iterator[MetricFamily]:
    snapshot, view = scraped.snapshot, scraped.snapshot.view
    yield _gauge("lvsctl_farm_revision", "Revision of the stored farm", snapshot.state.revision)
    yield _gauge(
        "lvsctl_director_observes",
        "The director is paused and writes nothing to the kernel",
        scraped.observes,
    )
    if view.at:
        yield _gauge(
            "lvsctl_reconciler_last_cycle_timestamp_seconds",
            "When the last cycle ended",
            view.at.timestamp(),
        )
    states = Counter(each.state for each in view.services.values())
    yield MetricFamily(
        "lvsctl_virtual_services",
        "gauge",
        "The virtual services of the farm, by state",
        [(labels(state=state), states[state]) for state in KeyState],
    )
    yield _gauge(
        "lvsctl_foreign_virtual_services",
        "Virtual services not created by lvsctl",
        len(view.foreign),
    )
    yield _gauge(
        "lvsctl_vip_problems", "VIPs that could not be placed on this director", len(view.vips)
    )
    yield _gauge("lvsctl_host_problems", "Other problems of this host", len(view.host))


def _agents(snapshot: DirectorSnapshot) -> Iterator[MetricFamily]:
    agents = snapshot.state.status.agents
    yield MetricFamily(
        "lvsctl_agent_info",
        "gauge",
        "Membership of an agent",
        [(labels(agent=name, membership=agent.membership), 1) for name, agent in agents.items()],
    )
    yield MetricFamily(
        "lvsctl_agent_last_report_timestamp_seconds",
        "gauge",
        "Time of an agent's last report since this director started",
        [
            (labels(agent=name), snapshot.last_report_at(snapshot.contacts[name]).timestamp())
            for name in agents
            if name in snapshot.contacts
        ],
    )


def _real_servers(snapshot: DirectorSnapshot) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "lvsctl_real_server_weight",
        "gauge",
        "Desired weight of a real server in a service; 0 if it is not in the table",
        [
            (labels(service=service.name, pool=service.pool, server=name), part.weight or 0)
            for service in snapshot.state.farm.services.values()
            for name, part in snapshot.service_state(service).parts.items()
        ],
    )
    yield MetricFamily(
        "lvsctl_draining_connections",
        "gauge",
        "Remaining connections of a draining server",
        [
            (labels(pool=server.pool, server=server.server), countdown.connections)
            for server, countdown in snapshot.countdowns.items()
        ],
    )


def _names(snapshot: DirectorSnapshot) -> Mapping[tuple[str, IPAddress], str]:
    """Return the name of each server, by service and address."""
    return {
        (service.name, member.address): member.id.server
        for service in snapshot.state.farm.services.values()
        for member in snapshot.service_state(service).members
    }


def _services(reading: TableReading) -> Iterator[MetricFamily]:
    counted = [
        (
            labels(service=reading.ours.get(key, ""), virtual_service=str(key)),
            reading.counters[key].traffic,
        )
        for key in reading.table
        if key in reading.counters
    ]
    for name, (what, value) in TRAFFIC.items():
        yield MetricFamily(
            f"lvsctl_ipvs_service_{name}_total",
            "counter",
            f"{what}, by virtual service",
            _picked(counted, value),
        )


def _destinations(
    reading: TableReading, names: Mapping[tuple[str, IPAddress], str]
) -> Iterator[MetricFamily]:
    weights, counted = _by_labels(reading, names)
    traffic = [(labelled, found.traffic) for labelled, found in counted]
    yield MetricFamily("lvsctl_ipvs_destination_weight", "gauge", "Weight in the kernel", weights)
    for name, (what, value) in TRAFFIC.items():
        yield MetricFamily(
            f"lvsctl_ipvs_destination_{name}_total",
            "counter",
            f"{what}, by destination",
            _picked(traffic, value),
        )
    for name, (what, present) in PRESENT.items():
        yield MetricFamily(
            f"lvsctl_ipvs_destination_{name}",
            "gauge",
            what,
            _picked(counted, present),
        )


def _picked(
    labelled: Iterable[tuple[str, CountersT]], pick: Callable[[CountersT], int]
) -> Iterator[Sample]:
    """Yield one number of each lazily, as there are many."""
    return ((labels, pick(counters)) for labels, counters in labelled)


def _by_labels(
    reading: TableReading, names: Mapping[tuple[str, IPAddress], str]
) -> tuple[Sequence[Sample], Sequence[tuple[str, DestinationCounters]]]:
    """Return the weight and the counters of each destination, with its labels."""
    weights: list[Sample] = []
    counted: list[tuple[str, DestinationCounters]] = []
    for key, service in reading.table.items():
        owner, text = reading.ours.get(key, ""), str(key)
        counters = reading.counters[key].destinations if key in reading.counters else {}
        for at, config in service.destinations.items():
            labelled = labels(
                service=owner,
                virtual_service=text,
                server=names.get((owner, at.address), ""),
                address=str(at.address),
            )
            weights.append((labelled, config.weight))
            if at in counters:
                counted.append((labelled, counters[at]))
    return weights, counted
