"""What the reconciler's cycles have done since this director started. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lvsctl.director.reconcile.cycle import Cycle

DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes in which durations are counted; a last one has the longer ones."""


@dataclass(frozen=True, slots=True)
class CycleStatistics:
    """Numbers that only grow.

    Attributes:
        durations: How many cycles, ended or failed, were in each class of duration.
        total_s: How long all of them took.
        failed: How many failed as a whole.
        operations: How many operations were carried out, by their kind and what became of them.
    """

    durations: tuple[int, ...] = (0,) * (len(DURATIONS_S) + 1)
    total_s: float = 0.0
    failed: int = 0
    operations: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def after(self, cycle: Cycle | None, took_s: float) -> "CycleStatistics":
        """Return the statistics with one cycle more; None for one that failed."""
        at = bisect_left(DURATIONS_S, took_s)
        durations = tuple(count + (number == at) for number, count in enumerate(self.durations))
        counted = replace(self, durations=durations, total_s=self.total_s + took_s)
        if cycle is None:
            return replace(counted, failed=self.failed + 1)
        if not cycle.results:
            return counted
        kinds = Counter((type(operation), type(result)) for operation, result in cycle.results)
        found = {
            (operation.__name__, result.__name__.lower()): count
            for (operation, result), count in kinds.items()
        }
        return replace(counted, operations=Counter(self.operations) + Counter(found))
