"""Metrics of health checks and their effects. Pure."""

from collections.abc import Callable, Iterator, Sequence

from api.exposition import MetricFamily, labels
from api.histograms import histogram_samples
from api.views import DirectorSnapshot
from lvsctl.director.checks.statistics import ProbeCounts
from lvsctl.director.reconcile.cycle import ServiceHealth
from lvsctl.farm.checks import kind_of
from lvsctl.health.target import ProbeId

EXCEPTIONS: Sequence[tuple[str, str, Callable[[ServiceHealth], object]]] = (
    ("panic", "Unhealthy servers are in use", lambda health: health.panic),
    ("sorry", "The sorry server is in use", lambda health: health.sorry),
    ("lost_quorum", "Too few servers are healthy", lambda health: health.lost_quorum),
)


def health_metrics(snapshot: DirectorSnapshot, probes: ProbeCounts) -> Iterator[MetricFamily]:
    """Yield metrics of verdicts, of services, and of probes."""
    yield from _servers(snapshot)
    yield from _services(snapshot)
    yield from _probes(probes)


def _servers(snapshot: DirectorSnapshot) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "lvsctl_real_server_healthy",
        "gauge",
        "A real server passes all of its health checks; absent without a verdict",
        [
            (
                labels(pool=target.pool, server=target.server, vip=str(target.vip)),
                int(health.healthy),
            )
            for target, health in snapshot.state.status.health.items()
            if health.healthy is not None
        ],
    )
    yield MetricFamily(
        "lvsctl_health_check_frozen",
        "gauge",
        "Probes do not count, as this director is at fault; the verdict is frozen",
        [
            (_check_labels(probe_id), 1)
            for verdicts in snapshot.verdicts.values()
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


def _services(snapshot: DirectorSnapshot) -> Iterator[MetricFamily]:
    healths = [(labels(service=name), health) for name, health in snapshot.view.health.items()]
    yield MetricFamily(
        "lvsctl_service_healthy_servers",
        "gauge",
        "Healthy servers that get new connections",
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
        "Duration of the probes of health checks",
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
        "Delay from when a probe was due until it started",
        histogram_samples(probes.lateness.counts, probes.lateness.total_s),
    )
    yield MetricFamily(
        "lvsctl_probe_inconclusive_total",
        "counter",
        "Probes that did not count, as this director was at fault",
        [(labels(pool=pool), number) for pool, number in sorted(probes.inconclusive.items())],
    )
