"""The prober in virtual time: schedules, shared probes, one probe per path at a time."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address

import pytest
from structlog.testing import capture_logs

from lvsctl.farm.checks import ExecRequest, HealthCheck, HttpRequest, Request, TcpRequest, Through
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.prober import MAX_PROGRAMS, Prober, ProbeResult
from lvsctl.health.target import PlannedProbe, ProbeId, Target, TargetId
from lvsctl.health.verdict import Verdict, judge, unchecked
from lvsctl.reasons.probes import PROBE_DEFECT
from tests.support.reasons import because
from tests.unit.virtual_time import run

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
DIRECT = HealthCheck(TcpRequest(), through=Through.DIRECT, jitter=0.0)
TUNNEL = HealthCheck(TcpRequest(), jitter=0.0)
VIP = ip_address("198.51.100.10")
DIP = ip_address("192.0.2.10")


def server(number: int) -> IPv4Address:
    """Return a real server's address."""
    return IPv4Address("10.0.0.0") + number


def direct(number: int, check: HealthCheck = DIRECT, vip: str = str(VIP)) -> PlannedProbe:
    """Return a direct probe of a server."""
    target = TargetId("web", f"rs{number}", ip_address(vip))
    return PlannedProbe(ProbeId.of(target, check, 80), check, Target(server(number), 80))


def tunnelled(number: int, check: HealthCheck = TUNNEL) -> PlannedProbe:
    """Return a probe of a server through the tunnel, with its own source port."""
    target = TargetId("web", f"rs{number}", VIP)
    where = Target(VIP, 80, DIP, 61000 + number, 0x100 + number)
    return PlannedProbe(ProbeId.of(target, check, 80), check, where)


@dataclass
class Bench:
    """Simulated servers, and the verdicts on them.

    Attributes:
        answers: What servers answer, and after how long; others pass after 10 ms.
        asked: When each target was asked, in seconds.
        reports: What was reported.
        reported_s: When, each.
    """

    answers: Callable[[Request, Target], tuple[Outcome, float]] = lambda *_: (Passed(0.01), 0.01)
    draw: Callable[[], float] = lambda: 0.5
    asked: dict[Target, list[float]] = field(default_factory=lambda: defaultdict(list))
    under_way: Counter[object] = field(default_factory=Counter)
    most_under_way: Counter[object] = field(default_factory=Counter)
    reports: list[ProbeResult] = field(default_factory=list)
    reported_s: list[float] = field(default_factory=list)
    verdicts: dict[ProbeId, Verdict] = field(default_factory=dict)

    async def probe(self, request: Request, target: Target, timeout_s: float) -> Outcome:
        """Return the scripted outcome."""
        self.asked[target].append(round(asyncio.get_running_loop().time(), 6))
        outcome, after_s = self.answers(request, target)
        path = (target.source_port, target.address, target.port)
        self.under_way[path] += 1
        self.under_way["all"] += 1
        for key in path, "all":
            self.most_under_way[key] = max(self.most_under_way[key], self.under_way[key])
        try:
            await asyncio.sleep(min(after_s, timeout_s))
        finally:
            self.under_way[path] -= 1
            self.under_way["all"] -= 1
        return outcome

    def report(self, report: ProbeResult) -> Verdict:
        """Update the verdict."""
        self.reports.append(report)
        self.reported_s.append(asyncio.get_running_loop().time())
        at = BEGAN + timedelta(seconds=self.reported_s[-1])
        before = self.verdicts.get(report.planned.id) or unchecked(BEGAN)
        after = judge(before, report.outcome, report.planned.check, at)
        self.verdicts[report.planned.id] = after
        return after

    def run(self, during: Callable[[Prober], Awaitable[None]], connections: int = 2048) -> None:
        """Run a prober during a scenario."""

        async def all_of_it() -> None:
            prober = Prober(self.probe, self.report, self.draw, connections)
            await during(prober)
            await prober.stop()

        run(all_of_it())
        assert 0 == self.under_way["all"]

    def watch(self, *planned: PlannedProbe, for_s: float, connections: int = 2048) -> None:
        """Run probes for a time."""

        async def during(prober: Prober) -> None:
            prober.watch("web", planned)
            await asyncio.sleep(for_s)

        self.run(during, connections)


def dead(*numbers: int) -> Callable[[Request, Target], tuple[Outcome, float]]:
    """Let some servers time out, by address or by mark."""
    addresses, marks = {server(n) for n in numbers}, {0x100 + n for n in numbers}

    def answer(_: Request, target: Target) -> tuple[Outcome, float]:
        gone = target.address in addresses or target.mark in marks
        return (ProbeFailed(because("timed out"), 1.0), 1.0) if gone else (Passed(0.01), 0.01)

    return answer


def test_a_healthy_target_is_probed_every_interval() -> None:
    """Measured from due time to due time, however long the probe took."""
    bench = Bench()
    bench.watch(direct(1), for_s=9)
    assert [0.5, 2.5, 4.5, 6.5, 8.5] == bench.asked[Target(server(1), 80)]
    assert {0.0} == {report.late_s for report in bench.reports}


def test_a_changing_target_is_probed_faster() -> None:
    """While the last probes contradict its verdict."""
    bench = Bench(dead(1))
    check = replace(DIRECT, fast_interval_s=1.25)
    bench.watch(direct(1, check), for_s=9)
    # Not up yet, three failures in a row: down, and from then on at the slow pace.
    assert [0.625, 1.875, 3.125, 5.125, 7.125] == bench.asked[Target(server(1), 80)]


def test_jitter_spreads_the_probes() -> None:
    """By the random number drawn for each."""
    bench = Bench(draw=lambda: 1.0)
    bench.watch(direct(1, replace(DIRECT, jitter=0.5)), for_s=9)
    assert [1, 4, 7] == bench.asked[Target(server(1), 80)]


def test_equal_direct_probes_are_shared() -> None:
    """Between VIPs and pools, with one outcome for all."""
    bench = Bench()
    other_pool = direct(1)
    other_pool = replace(other_pool, id=replace(other_pool.id, target=TargetId("p2", "x", VIP)))
    explicit = direct(1, replace(DIRECT, port=80), vip="198.51.100.12")

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1), direct(1, vip="198.51.100.11"), explicit])
        prober.watch("p2", [other_pool])
        await asyncio.sleep(4)

    bench.run(during)
    assert [0.5, 2.5] == bench.asked[Target(server(1), 80)]
    assert {2} == set(Counter(report.planned for report in bench.reports).values())
    assert 4 * 2 == len(bench.reports)


def test_different_probes_are_not_shared() -> None:
    """Another request, or another interval."""
    bench = Bench()
    http = direct(1, replace(DIRECT, request=HttpRequest()))
    slow = direct(1, replace(DIRECT, interval_s=4.0), vip="198.51.100.11")
    bench.watch(direct(1), http, slow, for_s=4)
    assert [0.5] * 3 + [2.5] * 2 == sorted(bench.asked[Target(server(1), 80)])


def test_no_two_probes_share_a_path() -> None:
    """Checks of one server and port of the VIP take turns; those of other servers do not wait."""
    bench = Bench(dead(1))
    checks = [replace(TUNNEL, request=HttpRequest(path=path)) for path in ("/a", "/b", "/c")]
    both = [tunnelled(number, check) for number in (1, 2) for check in checks]
    bench.watch(*both, for_s=20)
    assert {1} == {most for path, most in bench.most_under_way.items() if path != "all"}
    assert 2 == bench.most_under_way["all"]
    late = [report.late_s for report in bench.reports if report.planned.id.target.server == "rs2"]
    assert max(late) < 0.05
    failed = {report.planned for report in bench.reports if isinstance(report.outcome, ProbeFailed)}
    assert 3 == len(failed)


def test_direct_probes_of_one_server_run_concurrently() -> None:
    """The kernel gives each its own port."""
    bench = Bench(dead(1))
    checks = [replace(DIRECT, request=HttpRequest(path=path)) for path in ("/a", "/b", "/c")]
    bench.watch(*(direct(1, check) for check in checks), for_s=20)
    assert {0.0} == {report.late_s for report in bench.reports}


@pytest.mark.parametrize(
    ("connections", "at_ease_s"),
    [
        pytest.param(1024, 0.0, id="room for all"),
        pytest.param(400, 20.0, id="less room than dead servers, once they are known to be dead"),
    ],
)
def test_a_dead_network_does_not_delay_the_others(connections: int, at_ease_s: float) -> None:
    """500 servers that die at once, each good for five seconds of waiting, and 500 that live."""
    died_s = 10.0
    gone = {Target(server(n), 80) for n in range(500)}

    def answers(_: Request, target: Target) -> tuple[Outcome, float]:
        if target in gone and asyncio.get_running_loop().time() >= died_s:
            return ProbeFailed(because("timed out"), 5.0), 5.0
        return Passed(0.01), 0.01

    bench = Bench(answers, random.Random(1).random)  # noqa: S311 - spreads, hides nothing
    check = replace(DIRECT, timeout_s=5.0)
    bench.watch(*(direct(n, check) for n in range(1000)), for_s=90, connections=connections)
    late = [
        report.late_s
        for report, at_s in zip(bench.reports, bench.reported_s, strict=True)
        if report.planned.target not in gone and at_s >= at_ease_s
    ]
    assert len(late) > 500 * (90 - at_ease_s) / 2.2
    assert max(late) < 0.001
    assert bench.most_under_way["all"] <= connections
    down = {id_.target.server for id_, verdict in bench.verdicts.items() if not verdict.healthy}
    assert {f"rs{n}" for n in range(500)} == down


def test_programs_do_not_flood_the_host() -> None:
    """The limit for programs is lower than for connections."""
    bench = Bench(lambda *_: (Passed(0.1), 0.1))
    check = HealthCheck(ExecRequest("check"), through=Through.DIRECT)
    bench.watch(*(direct(n, check) for n in range(500)), for_s=30)
    assert bench.most_under_way["all"] <= MAX_PROGRAMS
    assert 500 == len(bench.asked)


def test_a_removed_target_is_no_longer_probed() -> None:
    """A running probe is cancelled, and not reported."""
    bench = Bench(dead(1))

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1), direct(2)])
        await asyncio.sleep(0.75)
        prober.watch("web", [direct(2)])
        await asyncio.sleep(0)
        assert 0 == bench.under_way["all"]
        await asyncio.sleep(9)

    bench.run(during)
    assert [0.5] == bench.asked[Target(server(1), 80)]
    assert [0.5, 2.5, 4.5, 6.5, 8.5] == bench.asked[Target(server(2), 80)]
    assert {"rs2"} == {report.planned.id.target.server for report in bench.reports}


def test_a_probe_can_be_requested_at_once() -> None:
    """Its schedule continues from there; targets that are not followed are not probed."""
    bench = Bench()

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1), direct(2)])
        await asyncio.sleep(1.25)
        prober.probe_now([direct(1), direct(3)])
        await asyncio.sleep(5)

    bench.run(during)
    assert [0.5, 1.25, 3.25, 5.25] == bench.asked[Target(server(1), 80)]
    assert [0.5, 2.5, 4.5] == bench.asked[Target(server(2), 80)]
    assert Target(server(3), 80) not in bench.asked


def test_an_unchanged_target_keeps_its_schedule() -> None:
    """However often its pool is written."""
    bench = Bench()

    async def during(prober: Prober) -> None:
        for n in range(90):
            prober.watch("web", [direct(1), direct(2 + n % 2), direct(1)])
            await asyncio.sleep(0.1)

    bench.run(during)
    assert [0.5, 2.5, 4.5, 6.5, 8.5] == bench.asked[Target(server(1), 80)]


def test_removing_one_of_several_targets_of_a_shared_probe() -> None:
    """The others are still probed."""
    bench = Bench()

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1), direct(1, vip="198.51.100.11")])
        await asyncio.sleep(2)
        prober.watch("web", [direct(1, vip="198.51.100.11")])
        await asyncio.sleep(2)
        prober.watch("web", [])
        await asyncio.sleep(2)

    bench.run(during)
    assert [0.5, 2.5] == bench.asked[Target(server(1), 80)]
    assert 3 == len(bench.reports)


def test_a_target_that_joins_a_shared_probe_is_probed_at_once() -> None:
    """It needs a verdict to serve."""
    bench = Bench()
    slow = replace(DIRECT, interval_s=60.0)

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1, slow)])
        await asyncio.sleep(10)
        prober.watch("web", [direct(1, slow), direct(1, slow, vip="198.51.100.11")])
        await asyncio.sleep(10)

    bench.run(during)
    assert [0.5, 10] == bench.asked[Target(server(1), 80)]
    assert 2 == len(bench.verdicts)


def test_a_changed_check_replaces_the_old_one() -> None:
    """With its own interval."""
    bench = Bench()

    async def during(prober: Prober) -> None:
        prober.watch("web", [direct(1)])
        await asyncio.sleep(3)
        prober.watch("web", [direct(1, replace(DIRECT, interval_s=3.0))])
        await asyncio.sleep(7)

    bench.run(during)
    assert [0.5, 2.5, 3.5, 6.5, 9.5] == bench.asked[Target(server(1), 80)]


def test_a_probe_that_raises_is_inconclusive() -> None:
    """A defect of lvsctl takes no server out, and probing continues."""

    def broken(*_: object) -> tuple[Outcome, float]:
        raise ZeroDivisionError("no")

    bench = Bench(broken)
    with capture_logs() as logs:
        bench.watch(direct(1), for_s=3)
    expected = Inconclusive(PROBE_DEFECT(error="ZeroDivisionError('no')"))
    assert [expected] * 3 == [report.outcome for report in bench.reports]
    assert ["probe_broke"] * 3 == [entry["event"] for entry in logs]


def test_a_stopped_prober_has_no_running_probes() -> None:
    """Nor waiting ones."""
    bench = Bench(dead(*range(100)))
    bench.watch(*(tunnelled(n) for n in range(100)), for_s=0.75, connections=8)
    assert bench.most_under_way["all"] > 0
