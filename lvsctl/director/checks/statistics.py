"""How the probes of health checks went since this director started."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsctl.director.reconcile.statistics import DURATIONS_S
from lvsctl.farm.checks import CheckKind, Through
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.prober import ProbeResult


@dataclass(frozen=True, slots=True, order=True)
class ProbeClass:
    """Probes that are counted together.

    Attributes:
        pool: Name of the pool.
        kind: Of the check.
        through: Their path.
        result: ``passed`` or ``failed``.
    """

    pool: str
    kind: CheckKind
    through: Through
    result: str


@dataclass(slots=True)
class Histogram:
    """Durations that were counted in classes.

    Attributes:
        counts: How many there are in each class of :data:`DURATIONS_S`, and above.
        total_s: How long all of them took.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATIONS_S) + 1))
    total_s: float = 0.0

    def add(self, took_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(DURATIONS_S, took_s)] += 1
        self.total_s += took_s

    def copy(self) -> "Histogram":
        """Return the present counts."""
        return Histogram([*self.counts], self.total_s)


@dataclass(frozen=True, slots=True)
class ProbeCounts:
    """Numbers of probes at one moment.

    Attributes:
        durations: How long those took that counted.
        inconclusive: How many counted for nothing, by pool.
        lateness: How long after they were due they began.
    """

    durations: Mapping[ProbeClass, Histogram]
    inconclusive: Mapping[str, int]
    lateness: Histogram


class ProbeStatistics:
    """Numbers that only grow; lives on the event loop."""

    def __init__(self) -> None:
        self._durations: dict[ProbeClass, Histogram] = {}
        self._inconclusive: dict[str, int] = {}
        self._lateness = Histogram()

    def add(self, report: ProbeResult, outcome: Outcome) -> None:
        """Count a probe with what it came to."""
        target = report.planned.id.target
        self._lateness.add(max(0.0, report.late_s))
        match outcome:
            case Inconclusive():
                self._inconclusive[target.pool] = self._inconclusive.get(target.pool, 0) + 1
            case Passed(took_s) | ProbeFailed(took_s=took_s):
                check = report.planned.check
                result = "passed" if isinstance(outcome, Passed) else "failed"
                of = ProbeClass(target.pool, check.kind, check.through, result)
                self._durations.setdefault(of, Histogram()).add(took_s)

    @property
    def counts(self) -> ProbeCounts:
        """The present numbers, as a value that stays as it is."""
        return ProbeCounts(
            {of: histogram.copy() for of, histogram in self._durations.items()},
            dict(self._inconclusive),
            self._lateness.copy(),
        )
