"""What the director knows as metrics for Prometheus. Pure but for this process's own figures.

Names, units and types keep to https://prometheus.io/docs/practices/naming: counters that only
grow, seconds and bytes, times as Unix timestamps. Rates are left to ``rate()``. Answers bypass a
director in tunnel mode, so there are no counters of outgoing packets.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from api.health_metrics import health_metrics
from api.histograms import buckets
from api.views import Known
from lvsctl.director.cycle import KeyState, TableReading
from lvsctl.director.probe_statistics import ProbeCounts
from lvsctl.director.statistics import CycleStatistics
from lvsctl.ipvs_table import DestinationCounters, IPAddress, Traffic
from lvsctl.standing import members

VIRTUAL_SERVICE = ("service", "virtual_service")
DESTINATION = (*VIRTUAL_SERVICE, "server", "address")

TRAFFIC: Mapping[str, tuple[str, Callable[[Traffic], int]]] = {
    "connections": ("Connections scheduled", lambda traffic: traffic.connections),
    "incoming_packets": ("Packets from clients", lambda traffic: traffic.in_packets),
    "incoming_bytes": ("Bytes from clients", lambda traffic: traffic.in_bytes),
}
PRESENT: Mapping[str, tuple[str, Callable[[DestinationCounters], int]]] = {
    "active_connections": ("Established connections", lambda found: found.active_connections),
    "inactive_connections": (
        "Connections that open or close, and all of UDP",
        lambda found: found.inactive_connections,
    ),
    "persistent_connections": (
        "Clients that are bound to it by persistence",
        lambda found: found.persistent_connections,
    ),
}


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one scrape is made of.

    Attributes:
        director: Name of the director.
        known: What it knows.
        observes: It only looks, as somebody has paused it.
        reading: The kernel's table; None where it could not be read.
        statistics: Of its cycles.
        probes: How the probes of health checks went.
    """

    director: str
    known: Known
    observes: bool
    reading: TableReading | None
    statistics: CycleStatistics
    probes: ProbeCounts


def metrics_text(observed: Observed) -> bytes:
    """Return all metrics in Prometheus' text format.

    Ten thousand destinations are 70,000 samples and take a second or two, so this belongs into a
    thread.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(observed))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Scrape:
    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> Iterator[Metric]:
        observed = self._observed
        yield _info(observed)
        yield from _reconciler(observed.statistics)
        yield from _farm(observed)
        yield from _agents(observed.known)
        yield from _real_servers(observed.known)
        yield from health_metrics(observed.known, observed.probes)
        yield _gauge("lvsctl_ipvs_readable", "The kernel's table could be read", observed.reading)
        if observed.reading:
            yield from _services(observed.reading)
            yield from _destinations(observed.reading, _names(observed.known))


def _gauge(name: str, what: str, value: object) -> Metric:
    number = value if isinstance(value, int | float) else bool(value)
    return GaugeMetricFamily(name, what, value=float(number))


def _info(observed: Observed) -> Metric:
    values = {"version": version("lvsctl"), "director": observed.director}
    return InfoMetricFamily("lvsctl_build", "This director", value=values)


def _reconciler(statistics: CycleStatistics) -> Iterator[Metric]:
    yield HistogramMetricFamily(
        "lvsctl_reconciler_cycle_duration_seconds",
        "How long it took to compare this director's kernel and put it right",
        buckets=buckets(statistics.durations),
        sum_value=statistics.total_s,
    )
    yield CounterMetricFamily(
        "lvsctl_reconciler_failed_cycles",
        "Cycles that failed as a whole",
        value=statistics.failed,
    )
    operations = CounterMetricFamily(
        "lvsctl_reconciler_operations",
        "Operations on the IPVS table, by what became of them",
        labels=("operation", "result"),
    )
    for (operation, result), count in sorted(statistics.operations.items()):
        operations.add_metric((operation, result), count)
    yield operations


def _farm(observed: Observed) -> Iterator[Metric]:
    known, view = observed.known, observed.known.view
    yield _gauge("lvsctl_farm_revision", "Revision of the stored farm", known.state.revision)
    yield _gauge("lvsctl_director_observes", "It is paused and writes nothing", observed.observes)
    if view.at:
        yield _gauge(
            "lvsctl_reconciler_last_cycle_timestamp_seconds",
            "When the last cycle ended",
            view.at.timestamp(),
        )
    keys = GaugeMetricFamily(
        "lvsctl_virtual_services",
        "The virtual services of the farm, by state",
        labels=["state"],
    )
    states = [each.state for each in view.services.values()]
    for state in KeyState:
        keys.add_metric([state], states.count(state))
    yield keys
    yield _gauge(
        "lvsctl_foreign_virtual_services", "Virtual services of somebody else", len(view.foreign)
    )
    yield _gauge("lvsctl_vip_problems", "VIPs that are not on this director", len(view.vips))
    yield _gauge("lvsctl_host_problems", "Other things wrong with this host", len(view.host))


def _agents(known: Known) -> Iterator[Metric]:
    seen = GaugeMetricFamily(
        "lvsctl_agent_last_report_timestamp_seconds",
        "When an agent was last heard of since this director started",
        labels=["agent"],
    )
    membership = GaugeMetricFamily(
        "lvsctl_agent_info", "Where an agent stands", labels=["agent", "membership"]
    )
    for name, agent in known.state.status.agents.items():
        membership.add_metric([name, agent.membership], 1)
        if name in known.contacts:
            seen.add_metric([name], known.contacts[name].at.timestamp())
    yield membership
    yield seen


def _real_servers(known: Known) -> Iterator[Metric]:
    weights = GaugeMetricFamily(
        "lvsctl_real_server_weight",
        "The weight that a real server should have in a service now; 0 also where it is out",
        labels=["service", "pool", "server"],
    )
    state = known.state
    for service in state.farm.services.values():
        for name, part in known.stands(service).parts.items():
            weights.add_metric([service.name, service.pool, name], part.weight or 0)
    yield weights
    draining = GaugeMetricFamily(
        "lvsctl_draining_connections",
        "Connections that a drained server still has",
        labels=["pool", "server"],
    )
    for server, countdown in known.countdowns.items():
        draining.add_metric([server.pool, server.server], countdown.connections)
    yield draining


def _names(known: Known) -> Mapping[tuple[str, IPAddress], str]:
    """Return the name of each server, by service and address."""
    state = known.state
    return {
        (service.name, member.address): member.id.server
        for service in state.farm.services.values()
        for member in members(state.farm.pools[service.pool], state.status)
    }


def _services(reading: TableReading) -> Iterator[Metric]:
    labelled = [
        ((reading.ours.get(key, ""), str(key)), reading.counters[key].traffic)
        for key in reading.table
        if key in reading.counters
    ]
    for name, (what, value) in TRAFFIC.items():
        yield _counter(
            f"lvsctl_ipvs_service_{name}",
            f"{what}, by virtual service",
            VIRTUAL_SERVICE,
            ((labels, value(traffic)) for labels, traffic in labelled),
        )


def _destinations(
    reading: TableReading, names: Mapping[tuple[str, IPAddress], str]
) -> Iterator[Metric]:
    weights: list[tuple[tuple[str, ...], int]] = []
    counted: list[tuple[tuple[str, ...], DestinationCounters]] = []
    for key, service in reading.table.items():
        owner, text = reading.ours.get(key, ""), str(key)
        counters = reading.counters[key].destinations if key in reading.counters else {}
        for at, config in service.destinations.items():
            labels = (owner, text, names.get((owner, at.address), ""), str(at.address))
            weights.append((labels, config.weight))
            if at in counters:
                counted.append((labels, counters[at]))
    yield _gauges("lvsctl_ipvs_destination_weight", "Weight in the kernel", weights)
    for name, (what, value) in TRAFFIC.items():
        yield _counter(
            f"lvsctl_ipvs_destination_{name}",
            f"{what}, by destination",
            DESTINATION,
            ((labels, value(found.traffic)) for labels, found in counted),
        )
    for name, (what, present) in PRESENT.items():
        yield _gauges(
            f"lvsctl_ipvs_destination_{name}",
            what,
            ((labels, present(found)) for labels, found in counted),
        )


def _counter(
    name: str, what: str, labels: Iterable[str], samples: Iterable[tuple[tuple[str, ...], int]]
) -> Metric:
    family = CounterMetricFamily(name, what, labels=[*labels])
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _gauges(name: str, what: str, samples: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[*DESTINATION])
    for values, number in samples:
        family.add_metric(values, number)
    return family
