"""What the director knows of health, as metrics for Prometheus. Pure."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from api.histograms import buckets
from api.views import Known
from lvsctl.director.cycle import ServiceHealth
from lvsctl.director.probe_statistics import ProbeCounts
from lvsctl.health.check import kind_of

SERVER = ("pool", "server", "vip")

EXCEPTIONS: Sequence[tuple[str, str, Callable[[ServiceHealth], object]]] = (
    ("panic", "Servers serve that are not healthy", lambda health: health.panic),
    ("sorry", "The sorry server serves", lambda health: health.sorry),
    ("lost_quorum", "Too few servers are healthy", lambda health: health.lost_quorum),
)


def health_metrics(known: Known, probes: ProbeCounts) -> Iterator[Metric]:
    """Yield verdicts, what they lead to, and how the probes went."""
    yield from _servers(known)
    yield from _services(known)
    yield from _probes(probes)


def _servers(known: Known) -> Iterator[Metric]:
    healthy = GaugeMetricFamily(
        "lvsctl_real_server_healthy",
        "All health checks of a real server say that it is healthy; absent without a verdict",
        labels=SERVER,
    )
    for target, health in known.state.status.health.items():
        if health.healthy is not None:
            healthy.add_metric([target.pool, target.server, str(target.vip)], health.healthy)
    yield healthy
    frozen = GaugeMetricFamily(
        "lvsctl_health_check_frozen",
        "Probes count for nothing, as this director is at fault; the verdict stays as it is",
        labels=[*SERVER, "check", "port"],
    )
    for target, verdicts in known.verdicts.items():
        for probe_id, verdict in verdicts.items():
            if verdict.frozen:
                kind, port = kind_of(probe_id.request), str(probe_id.port or "")
                frozen.add_metric([target.pool, target.server, str(target.vip), kind, port], 1)
    yield frozen


def _services(known: Known) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "lvsctl_service_healthy_servers",
        "Servers that are healthy and take new connections",
        labels=["service"],
    )
    for name, health in known.view.health.items():
        count.add_metric([name], health.healthy)
    yield count
    for what, meaning, value in EXCEPTIONS:
        family = GaugeMetricFamily(f"lvsctl_service_{what}", meaning, labels=["service"])
        for name, health in known.view.health.items():
            family.add_metric([name], bool(value(health)))
        yield family


def _probes(probes: ProbeCounts) -> Iterator[Metric]:
    durations = HistogramMetricFamily(
        "lvsctl_probe_duration_seconds",
        "How long the probes of health checks took",
        labels=["pool", "check", "through", "result"],
    )
    for of, histogram in sorted(probes.durations.items()):
        labels = [of.pool, of.kind, of.through, of.result]
        durations.add_metric(labels, buckets(histogram.counts), histogram.total_s)
    yield durations
    late = HistogramMetricFamily(
        "lvsctl_probe_lateness_seconds", "How long after they were due probes began"
    )
    late.add_metric([], buckets(probes.lateness.counts), probes.lateness.total_s)
    yield late
    inconclusive = CounterMetricFamily(
        "lvsctl_probe_inconclusive",
        "Probes that counted for nothing, as this director was at fault",
        labels=["pool"],
    )
    for pool, number in sorted(probes.inconclusive.items()):
        inconclusive.add_metric([pool], number)
    yield inconclusive
