"""Prometheus' text format, beside what its own client library writes and reads."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.parser import text_string_to_metric_families

from api.exposition import MetricFamily, exposition, labels
from api.histograms import histogram_samples
from lvsctl.director.reconcile.statistics import DURATIONS_S

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(0, 1 << 64) | st.floats()
LABELLED = st.lists(
    st.tuples(TEXTS, TEXTS, NUMBERS), max_size=5, unique_by=lambda sample: sample[:2]
)
COUNTS = st.lists(
    st.integers(0, 1 << 40), min_size=len(DURATIONS_S) + 1, max_size=len(DURATIONS_S) + 1
)
HELP = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]) | st.just("\n"), min_size=1)

Read = Mapping[str, tuple[str, str, Mapping[str, str]]]


def text_of(families: Sequence[MetricFamily]) -> str:
    """Return what is written of families."""
    return b"".join(exposition(families)).decode()


def read(text: str) -> Read:
    """Return type, help and samples of each family; values as text, so that NaN equals NaN."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {
                f"{sample.name} {sorted(sample.labels.items())}": repr(float(sample.value))
                for sample in family.samples
            },
        )
        for family in text_string_to_metric_families(text)
    }


def written_by_the_library(family: Metric) -> str:
    """Return what the client library makes of a family."""

    class Collector:
        def collect(self) -> Sequence[Metric]:
            return [family]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())  # type: ignore[arg-type]
    return generate_latest(registry).decode()


@given(HELP, LABELLED)
def test_gauges_and_counters_read_as_those_of_the_library(
    meaning: str, samples: Sequence[tuple[str, str, float]]
) -> None:
    """Whatever labels and values are."""
    gauge = GaugeMetricFamily("lvsctl_a", meaning, labels=["server", "pool"])
    counter = CounterMetricFamily("lvsctl_b", meaning, labels=["server", "pool"])
    for server, pool, value in samples:
        gauge.add_metric([server, pool], value)
        counter.add_metric([server, pool], value)
    ours = [(labels(server=server, pool=pool), value) for server, pool, value in samples]
    text = text_of(
        [
            MetricFamily("lvsctl_a", "gauge", meaning, ours),
            MetricFamily("lvsctl_b_total", "counter", meaning, ours),
        ]
    )
    assert read(written_by_the_library(gauge) + written_by_the_library(counter)) == read(text)


@given(TEXTS, COUNTS, st.floats(0, 1e9))
def test_a_histogram_reads_as_that_of_the_library(
    pool: str, counts: Sequence[int], total_s: float
) -> None:
    """Its buckets hold what is no longer than their bound."""
    bounds = [*map(str, DURATIONS_S), "+Inf"]
    family = HistogramMetricFamily("lvsctl_c", "How long", labels=["pool"])
    cumulative = [(bound, float(sum(counts[: place + 1]))) for place, bound in enumerate(bounds)]
    family.add_metric([pool], cumulative, total_s)
    ours = histogram_samples(counts, total_s, pool=pool)
    text = text_of([MetricFamily("lvsctl_c", "histogram", "How long", ours)])
    assert read(written_by_the_library(family)) == read(text)


def test_a_sample_without_labels_stands_alone() -> None:
    """As all that is of the director as a whole."""
    text = text_of([MetricFamily("lvsctl_a", "gauge", "Revision", [(labels(), 7)])])
    assert "# HELP lvsctl_a Revision\n# TYPE lvsctl_a gauge\nlvsctl_a 7.0\n" == text
