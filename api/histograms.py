"""Durations that were counted in classes, as Prometheus has them. Pure."""

from collections.abc import Sequence

from lvsctl.director.statistics import DURATIONS_S


def buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return for each bound of DURATIONS_S, and for all, how many were no longer."""
    bounds = [*map(str, DURATIONS_S), "+Inf"]
    return [(bound, sum(counts[: place + 1])) for place, bound in enumerate(bounds)]
