"""Histograms of durations in Prometheus' format. Pure."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from api.exposition import Sample, labels
from lvsctl.director.reconcile.statistics import DURATIONS_S

BOUNDS = (*map(str, DURATIONS_S), "+Inf")


def histogram_samples(counts: Sequence[int], total_s: float, **labelled: str) -> Iterator[Sample]:
    """Yield the samples of one histogram.

    Args:
        counts: Observations in each bucket of DURATIONS_S, and above the last.
        total_s: Sum of all durations.
        labelled: Labels of the histogram.
    """
    for bound, count in zip(BOUNDS, accumulate(counts), strict=True):
        # Labels in alphabetical order, like the client library's: scripts match the text.
        yield "_bucket" + labels(**dict(sorted({**labelled, "le": bound}.items()))), count
    yield "_count" + labels(**labelled), sum(counts)
    yield "_sum" + labels(**labelled), total_s
