"""What the director knows of health, as metrics for Prometheus. Pure."""

from collections.abc import Callable, Iterator, Sequence

from api.exposition import MetricFamily, labels
from api.histograms import histogram_samples
from api.views import Known
from lvsctl.director.checks.statistics import ProbeCounts
from lvsctl.director.reconcile.cycle import ServiceHealth
from lvsctl.farm.checks import kind_of
from lvsctl.health.target import ProbeId

EXCEPTIONS: Sequence[tuple[str, str, Callable[[ServiceHealth], object]]] = (
    ("panic", "Servers serve that are not healthy", lambda health: health.panic),
    ("sorry", "The sorry server serves", lambda health: health.sorry),
    ("lost_quorum", "Too few servers are healthy", lambda health: health.lost_quorum),
)


def health_metrics(known: Known, probes: ProbeCounts) -> Iterator[MetricFamily]:
    """Yield verdicts, what they lead to, and how the probes went."""
    yield from _servers(known)
    yield from _services(known)
    yield from _probes(probes)


def _servers(known: Known) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "lvsctl_real_server_healthy",
        "gauge",
        "All health checks of a real server say that it is healthy; absent without a verdict",
        [
            (
                labels(pool=target.pool, server=target.server, vip=str(target.vip)),
                int(health.healthy),
            )
            for target, health in known.state.status.health.items()
            if health.healthy is not None
        ],
    )
    yield MetricFamily(
        "lvsctl_health_check_frozen",
        "gauge",
        "Probes count for nothing, as this director is at fault; the verdict stays as it is",
        [
            (_check_labels(probe_id), 1)
            for verdicts in known.verdicts.values()
            for probe_id, verdict in verdicts.items()
            if verdict.frozen
        ],
    )


def _check_labels(probe_id: ProbeId) -> str:
    target = probe_id.target
    return labels(
        pool=target.pool,
        server=target.server,
        vip=str(target.vip),
        check=kind_of(probe_id.request),
        port=str(probe_id.port or ""),
    )


def _services(known: Known) -> Iterator[MetricFamily]:
    healths = [(labels(service=name), health) for name, health in known.view.health.items()]
    yield MetricFamily(
        "lvsctl_service_healthy_servers",
        "gauge",
        "Servers that are healthy and take new connections",
        [(labelled, health.healthy) for labelled, health in healths],
    )
    for what, meaning, value in EXCEPTIONS:
        yield MetricFamily(
            f"lvsctl_service_{what}",
            "gauge",
            meaning,
            [(labelled, int(bool(value(health)))) for labelled, health in healths],
        )


def _probes(probes: ProbeCounts) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "lvsctl_probe_duration_seconds",
        "histogram",
        "How long the probes of health checks took",
        [
            sample
            for of, histogram in sorted(probes.durations.items())
            for sample in histogram_samples(
                histogram.counts,
                histogram.total_s,
                pool=of.pool,
                check=of.kind,
                through=of.through,
                result=of.result,
            )
        ],
    )
    yield MetricFamily(
        "lvsctl_probe_lateness_seconds",
        "histogram",
        "How long after they were due probes began",
        histogram_samples(probes.lateness.counts, probes.lateness.total_s),
    )
    yield MetricFamily(
        "lvsctl_probe_inconclusive_total",
        "counter",
        "Probes that counted for nothing, as this director was at fault",
        [(labels(pool=pool), number) for pool, number in sorted(probes.inconclusive.items())],
    )
