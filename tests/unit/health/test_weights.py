"""Properties of weights, from verdicts, administrative states and a pool's policy."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.checks import HealthCheck, TcpRequest
from lvsctl.farm.policy import HealthPolicy, OnDown, Quorum, SlowStart
from lvsctl.health.outcome import Passed, ProbeFailed
from lvsctl.health.verdict import Verdict, assumed_healthy, judge, resumed, unchecked
from lvsctl.health.weights import (
    UNCHECKED_POOL,
    Effective,
    Health,
    Server,
    Weights,
    effective_weights,
    has_quorum,
    health_of,
)
from lvsctl.reasons import servers as reasons
from tests.support.reasons import because

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
UP = Health(healthy=True, since=LONG_AGO)
REFUSED = (because("connection refused"),)
DOWN = Health(healthy=False, since=LONG_AGO, reasons=REFUSED)
NEW = Health(healthy=None, since=NOW, reasons=(reasons.NOT_CHECKED(),))
POLICY = HealthPolicy()
CHECK = HealthCheck(TcpRequest(), port=80, rise=2, fall=3)

moments = st.integers(-100, 100).map(lambda seconds: NOW + timedelta(seconds=seconds))
healths = st.builds(
    Health, st.sampled_from([True, False, None]), st.none() | moments, st.sampled_from(["", "why"])
)
weights = st.none() | st.just(0) | st.integers(1, 65535)
pools = st.dictionaries(
    st.sampled_from(["rs1", "rs2", "rs3", "rs4", "rs5"]), st.builds(Server, weights, healths)
)
quorums = st.builds(Quorum, st.integers(1, 5), st.integers(0, 3))
policies = st.builds(
    HealthPolicy,
    st.sampled_from(OnDown),
    st.none() | st.builds(SlowStart, st.integers(1, 300), st.integers(2, 20)),
    st.none() | quorums,
    st.integers(0, 100),
)


def decide(
    servers: Mapping[str, Server],
    policy: HealthPolicy = POLICY,
    *,
    sorry: bool = False,
    now: datetime = NOW,
) -> Weights:
    return effective_weights(servers, policy, has_sorry_server=sorry, now=now)


def farm(*healths_of_servers: Health, weight: int | None = 100) -> dict[str, Server]:
    return {f"rs{n}": Server(weight, h) for n, h in enumerate(healths_of_servers, start=1)}


def given_weights(decision: Weights) -> list[int | None]:
    return [effective.weight for effective in decision.servers.values()]


# --- all checks of a server -----------------------------------------------------------------


def up(minutes: int) -> Verdict:
    return Verdict(healthy=True, since=NOW + timedelta(minutes=minutes), reasons=())


def new(minutes: int) -> Verdict:
    return unchecked(NOW + timedelta(minutes=minutes))


def down(minutes: int, reason: str) -> Verdict:
    return Verdict(
        healthy=False, since=NOW + timedelta(minutes=minutes), reasons=(because(reason),)
    )


@pytest.mark.parametrize(
    ("verdicts", "health"),
    [
        ([], Health(healthy=True)),
        (
            [up(1), up(2)],
            Health(healthy=True, since=NOW + timedelta(minutes=2)),
        ),
        (
            [up(3), new(1)],
            Health(
                healthy=None, since=NOW + timedelta(minutes=1), reasons=(reasons.NOT_CHECKED(),)
            ),
        ),
        (
            [down(2, "refused"), new(0), down(1, "timed out")],
            Health(
                healthy=False,
                since=NOW + timedelta(minutes=1),
                reasons=(because("refused"), because("timed out")),
            ),
        ),
        ([assumed_healthy(NOW)], Health(healthy=True)),
    ],
)
def test_all_checks_must_pass(verdicts: list[Verdict], health: Health) -> None:
    """One failing check makes a server down, and gives the reason and the time."""
    assert health == health_of(verdicts)


# --- precedence -----------------------------------------------------------------------------


@given(servers=pools, policy=policies, sorry=st.booleans())
def test_administrative_state_comes_first(
    servers: dict[str, Server], policy: HealthPolicy, *, sorry: bool
) -> None:
    """Disabled stays out, draining keeps weight 0, whatever checks, sorry server or panic say."""
    decided = decide(servers, policy, sorry=sorry).servers
    for name, server in servers.items():
        if not server.weight:
            assert Effective(server.weight) == decided[name]


@given(servers=pools, policy=policies, sorry=st.booleans())
def test_without_a_verdict_a_server_is_out(
    servers: dict[str, Server], policy: HealthPolicy, *, sorry: bool
) -> None:
    """Until its first pass, even in a panic."""
    decided = decide(servers, policy, sorry=sorry).servers
    for name, server in servers.items():
        if server.weight and server.health.healthy is None:
            assert decided[name].weight is None


@given(pools, policies)
def test_the_sorry_server_serves_exactly_if_none_is_healthy(
    servers: dict[str, Server], policy: HealthPolicy
) -> None:
    """Then there is no panic, and no other server gets new connections."""
    decision = decide(servers, policy, sorry=True)
    assert (decision.healthy == 0) is decision.sorry
    if decision.sorry:
        assert not decision.panic
        assert not any(given_weights(decision))


@given(servers=pools, policy=policies, sorry=st.booleans())
def test_healthy_servers_serve(
    servers: dict[str, Server], policy: HealthPolicy, *, sorry: bool
) -> None:
    """With a weight from 1 to their own, even in a panic."""
    decided = decide(servers, policy, sorry=sorry).servers
    for name, server in servers.items():
        if server.weight and server.health.healthy:
            assert 1 <= (decided[name].weight or 0) <= server.weight


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=8), policies)
def test_if_all_fail_all_serve(weights: list[int], policy: HealthPolicy) -> None:
    """With their full weights, and a reason."""
    decision = decide({f"rs{n}": Server(weight, DOWN) for n, weight in enumerate(weights)}, policy)
    assert weights == given_weights(decision)
    assert reasons.PANIC(judged=len(weights)) == decision.panic


@given(pools, policies)
def test_a_pool_always_has_servers(servers: dict[str, Server], policy: HealthPolicy) -> None:
    """No combination of verdicts leaves a pool empty, once there is one."""
    judged = any(s.weight and s.health.healthy is not None for s in servers.values())
    assert judged is any(given_weights(decide(servers, policy)))


def test_a_server_that_is_down_is_removed_or_quiesced() -> None:
    """As the pool says, with the reason."""
    servers = farm(UP, DOWN)
    assert [100, None] == given_weights(decide(servers))
    quiesced = decide(servers, HealthPolicy(OnDown.QUIESCE))
    assert [100, 0] == given_weights(quiesced)
    assert (reasons.DOWN(why=REFUSED),) == quiesced.servers["rs2"].reasons


@pytest.mark.parametrize(
    ("up", "below", "panics"), [(1, 0, False), (4, 50, True), (5, 50, False), (9, 100, True)]
)
def test_panic_below_a_share(up: int, below: int, *, panics: bool) -> None:
    """Of ten servers; not at exactly the percentage."""
    decision = decide(farm(*[UP] * up, *[DOWN] * (10 - up)), HealthPolicy(panic_below=below))
    assert panics is bool(decision.panic)
    assert [100] * up + [100 if panics else None] * (10 - up) == given_weights(decision)


def test_panic_is_a_reason_of_each_server_it_keeps() -> None:
    """Together with that server's failure."""
    decision = decide(farm(UP, DOWN), HealthPolicy(panic_below=60))
    panic = reasons.PANIC_BELOW(healthy=1, judged=2, below=60)
    down = reasons.DOWN(why=REFUSED)
    kept = reasons.SERVES_IN_PANIC(panic=panic, down=down)
    assert (kept,) == decision.servers["rs2"].reasons


def test_servers_out_for_other_reasons_do_not_cause_a_panic() -> None:
    """Draining, disabled and new servers are not counted."""
    servers = {
        "rs1": Server(100, UP),
        "rs2": Server(0, DOWN),
        "rs3": Server(None, DOWN),
        "rs4": Server(100, NEW),
    }
    decision = decide(servers, HealthPolicy(panic_below=100))
    assert (None, 1) == (decision.panic, decision.healthy)


@given(st.lists(weights, max_size=6), policies)
def test_a_pool_without_checks_serves_as_declared(
    weights: list[int | None], policy: HealthPolicy
) -> None:
    """Whatever its policy is."""
    servers = {f"rs{n}": Server(weight, UNCHECKED_POOL) for n, weight in enumerate(weights)}
    assert weights == given_weights(decide(servers, policy))


# --- slow start -----------------------------------------------------------------------------

SLOWLY = HealthPolicy(slow_start=SlowStart(over_s=90, steps=10))


def test_slow_start_raises_the_weight_in_steps() -> None:
    """A tenth at once, the full weight after 90 s; with the time of the next step."""
    seen = []
    now: datetime | None = NOW
    while now:
        decision = decide(farm(Health(healthy=True, since=NOW)), SLOWLY, now=now)
        seen.append(((now - NOW).seconds, *given_weights(decision)))
        now = decision.next_change
    assert [(10 * n - 10, 10 * n) for n in range(1, 10)] + [(90, 100)] == seen


@given(
    st.integers(1, 65535),
    st.integers(1, 300),
    st.integers(2, 50),
    st.lists(st.floats(-10, 400), min_size=2).map(sorted),
)
def test_a_slow_start_only_rises(
    weight: int, over_s: int, steps: int, times_s: list[float]
) -> None:
    """From at least 1 to the full weight, which is reached in time."""
    policy = HealthPolicy(slow_start=SlowStart(over_s, steps))
    servers = {"rs1": Server(weight, Health(healthy=True, since=NOW))}
    seen = [
        decide(servers, policy, now=NOW + timedelta(seconds=s)).servers["rs1"].weight or 0
        for s in times_s
    ]
    assert all(1 <= one <= two <= weight for one, two in pairwise(seen))
    assert all(weight == w for s, w in zip(times_s, seen, strict=True) if s > over_s + 1e-3)


@given(pools, policies)
def test_a_weight_changes_at_the_announced_time(
    servers: dict[str, Server], policy: HealthPolicy
) -> None:
    """Not before, and the time is always in the future."""
    decision = decide(servers, policy)
    if decision.next_change is None:
        later = NOW + timedelta(days=365)
        assert decision == decide(servers, policy, now=later)
        return
    assert decision.next_change > NOW
    just_before = decision.next_change - timedelta(microseconds=1)
    assert decision == decide(servers, policy, now=just_before)


def test_a_clock_set_back_restarts_a_slow_start() -> None:
    """A server that came up in the future is at its first step."""
    later = NOW + timedelta(hours=1)
    decision = decide(farm(Health(healthy=True, since=later)), SLOWLY)
    assert Effective(10, (reasons.SLOW_START(step=1, steps=10),)) == decision.servers["rs1"]


def test_a_server_that_already_served_has_no_slow_start() -> None:
    """A director that takes over a serving farm does not change its weights."""
    assert [100] == given_weights(decide(farm(health_of([assumed_healthy(NOW)])), SLOWLY))


# --- quorum ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("had", "healthy", "has"),
    [
        (True, 2, False), (True, 3, True), (True, 4, True),
        (False, 3, False), (False, 4, False), (False, 5, True),
        (None, 2, False), (None, 3, True),
    ],
)  # fmt: skip
def test_a_quorum_with_hysteresis(*, had: bool | None, healthy: int, has: bool) -> None:
    """Lost below 3, regained with 5; for a director that has just started 3 is enough."""
    assert has is has_quorum(Quorum(3, hysteresis=2), healthy, had_quorum=had)


def test_a_quorum_counts_healthy_servers_only() -> None:
    """Neither those kept by panic nor draining ones."""
    servers = {**farm(DOWN, DOWN), "rs3": Server(0, UP)}
    decision = decide(servers)
    assert [100, 100, 0] == given_weights(decision)
    assert 0 == decision.healthy
    assert 1 == decide(farm(UP, DOWN)).healthy


@given(quorums, st.integers(0, 10), st.lists(st.sampled_from([-1, 1]), max_size=50))
def test_hysteresis_bounds_the_effect_of_flapping(
    quorum: Quorum, start: int, steps: list[int]
) -> None:
    """A lost quorum is regained only after hysteresis + 1 more servers came up than went down."""
    healthy, had, lost_at = start, has_quorum(quorum, start, had_quorum=None), None
    for step in steps:
        healthy = max(0, healthy + step)
        has = has_quorum(quorum, healthy, had_quorum=had)
        if had and not has:
            lost_at = healthy
        if has and not had and lost_at is not None:
            assert healthy >= lost_at + quorum.hysteresis + 1
        had = has


# --- over time ------------------------------------------------------------------------------

scripts = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60)


@given(script=scripts, policy=policies, sorry=st.booleans(), serving=st.booleans())
def test_the_table_changes_only_with_a_verdict(
    script: list[tuple[int, bool]], policy: HealthPolicy, *, sorry: bool, serving: bool
) -> None:
    """So rise and fall, which bound changes of verdicts, bound those of the table."""
    policy = replace(policy, slow_start=None)
    begin = assumed_healthy if serving else unchecked
    verdicts = [begin(NOW) for _ in range(3)]

    def decided() -> Weights:
        return decide(
            {f"rs{n}": Server(100, health_of([v])) for n, v in enumerate(verdicts)},
            policy,
            sorry=sorry,
        )

    before = decided()
    for server, passes in script:
        old = verdicts[server]
        outcome = Passed(0.1) if passes else ProbeFailed(because("refused"), 0.1)
        verdicts[server] = judge(old, outcome, CHECK, NOW)
        now = decided()
        if old.healthy is verdicts[server].healthy:
            assert given_weights(before) == given_weights(now)
        before = now


@given(script=scripts, policy=policies, sorry=st.booleans())
def test_a_restart_changes_no_weight(
    script: list[tuple[int, bool]], policy: HealthPolicy, *, sorry: bool
) -> None:
    """Stored verdicts give the same weights."""
    verdicts = [assumed_healthy(NOW) for _ in range(3)]
    for server, passes in script:
        outcome = Passed(0.1) if passes else ProbeFailed(because("refused"), 0.1)
        verdicts[server] = judge(verdicts[server], outcome, CHECK, NOW)
    one, two = (
        decide(
            {f"rs{n}": Server(100, health_of([v])) for n, v in enumerate(some)}, policy, sorry=sorry
        )
        for some in (verdicts, [resumed(v.kept) for v in verdicts])
    )
    assert one == two
