"""Durations that were counted in classes, as Prometheus has them. Pure."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from api.exposition import Sample, labels
from lvsctl.director.reconcile.statistics import DURATIONS_S

BOUNDS = (*map(str, DURATIONS_S), "+Inf")


def histogram_samples(counts: Sequence[int], total_s: float, **labelled: str) -> Iterator[Sample]:
    """Yield the samples of one histogram.

    Args:
        counts: How many were in each class of DURATIONS_S, and longer.
        total_s: How long all of them took.
        labelled: Its labels.
    """
    for bound, count in zip(BOUNDS, accumulate(counts), strict=True):
        # In the alphabet's order, as the client library writes them: scripts match the text.
        yield "_bucket" + labels(**dict(sorted({**labelled, "le": bound}.items()))), count
    yield "_count" + labels(**labelled), sum(counts)
    yield "_sum" + labels(**labelled), total_s
