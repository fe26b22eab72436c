"""The cases of ``make bench``, with their goals and what the other programs do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.farms import LARGE, SMALL


@dataclass(frozen=True, slots=True)
class Case:
    """A benchmark case.

    Attributes:
        name: Name in samples.
        title: Title in the report.
        unit: Unit of the values.
        goals: Maximum to reach, by size.
        others: What the other programs do in this case, and what is unfair about the comparison.
    """

    name: str
    title: str
    unit: str
    goals: Mapping[str, float] = field(default_factory=dict)
    others: str = ""


BOTH = (SMALL.name, LARGE.name)

CASES: Sequence[Case] = (
    Case(
        "put",
        "the whole farm on an empty director, from the request until the table is complete",
        "s",
        {SMALL.name: 0.27, LARGE.name: 1.1},
        "keepalived: from its start; ipvsadm: `-R`. Neither checks or keeps the farm.",
    ),
    Case(
        "put-answered",
        "the same, until the answer: all 250 VIPs are up, operations are put into words",
        "s",
        others="Nothing to compare: neither says when it is through.",
    ),
    Case(
        "patch",
        "PATCH of one server's weight `?wait`: median of 20",
        "ms",
        {SMALL.name: 20, LARGE.name: 25},
        "keepalived: SIGHUP with one weight changed in its file.",
    ),
    Case("patch-worst", "the slowest of these 20", "ms", {LARGE.name: 60}),
    Case(
        "idle",
        "idle with a 5 s timer, share of a processor",
        "%",
        {SMALL.name: 1.5, LARGE.name: 6},
        "keepalived has no checks here and never compares the kernel with its file.",
    ),
    Case("metrics", "`GET /metrics`", "s", {SMALL.name: 0.35, LARGE.name: 1.2}),
    Case(
        "table",
        "`GET /v1/table`",
        "s",
        {LARGE.name: 1.2},
        "ipvsadm: `-Ln --stats`, which has no weights and rates beside the counters.",
    ),
    Case("plan", "`GET /v1/plan`", "s", {LARGE.name: 0.5}),
    Case("restart", "restart beside the standing table until ready, program loaded", "s"),
    Case(
        "exec",
        "outside the lab: restart with a history of 10,000 commits, from exec until ready; the "
        "table, in memory, is made anew",
        "s",
        {LARGE.name: 1.5},
    ),
    Case(
        "exec-written",
        "rows of its files that are others after this restart",
        "rows",
        {LARGE.name: 0},
    ),
    Case(
        "huge",
        "outside the lab: a farm of 100,000 servers, table in memory, until applied and answered",
        "s",
        {"huge": 6.0},
    ),
    Case("huge-memory", "the most memory of that director", "MB", {"huge": 600}),
    *(
        Case(
            f"ping-{name}",
            f"99th percentile of a small GET, 20 times a second, during {during}",
            "ms",
            dict.fromkeys(BOTH, 100.0),
        )
        for name, during in (
            ("put", "PUTs that change all weights"),
            ("metrics", "scrapes"),
            ("table", "`GET /v1/table`"),
            ("plan", "`GET /v1/plan`"),
        )
    ),
)

NOT_MEASURED: Sequence[str] = (
    "HTTP checks of 1,000 x 10 through the tunnel; `python -m benchmarks.probes` measures checks.",
    "1,000 agents polling while weights are changed.",
)
