"""Properties of verdicts: what changes them, what does not, and when the next probe is due."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.farm.checks import HealthCheck, TcpRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.verdict import (
    Frozen,
    Verdict,
    assumed_healthy,
    first_due_s,
    interval_s,
    judge,
    next_due_s,
    resumed,
    unchecked,
)
from lvsctl.reasons.servers import PROBES_PASSED
from tests.support.reasons import because

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = HealthCheck(TcpRequest(), port=80, rise=2, fall=3)
PASS, FAIL = Passed(0.1), ProbeFailed(because("connection refused"), 0.1)
TIMED_OUT = ProbeFailed(because("timed out"), 1.0)
MUTE = Inconclusive(because("no file descriptor is left"))

outcomes = st.sampled_from([PASS, FAIL, MUTE])
checks = st.builds(
    HealthCheck,
    st.just(TcpRequest()),
    interval_s=st.floats(0.1, 10),
    fast_interval_s=st.floats(0.1, 10),
    timeout_s=st.floats(0.1, 10),
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
    jitter=st.floats(0, 0.5),
)
beginnings = st.sampled_from([unchecked(START), assumed_healthy(START)])
verdicts = st.builds(
    lambda first, later, check: history(first, later, check)[-1],
    beginnings,
    st.lists(outcomes, max_size=10),
    checks,
)


def at(probe: int) -> datetime:
    return START + timedelta(seconds=probe)


def history(first: Verdict, later: Sequence[Outcome], check: HealthCheck) -> list[Verdict]:
    """Return all verdicts, including the initial one; a probe ends each second."""
    numbered = enumerate(later, start=1)
    return list(accumulate(numbered, lambda v, n: judge(v, n[1], check, at(n[0])), initial=first))


def after(*later: Outcome, first: Verdict | None = None, check: HealthCheck = CHECK) -> Verdict:
    return history(first or unchecked(START), later, check)[-1]


# --- what changes a verdict -----------------------------------------------------------------


def test_one_pass_is_enough_without_a_verdict() -> None:
    """A new server needs only one pass, whatever rise is and however often it failed before."""
    assert after().healthy is None
    assert after(FAIL, FAIL).healthy is None
    assert after(PASS).healthy
    assert after(FAIL, FAIL, PASS).healthy
    assert at(3) == after(FAIL, FAIL, PASS).since


def test_a_server_that_never_passed_is_down_after_fall() -> None:
    """After that it is no longer new, and needs rise passes."""
    down = after(FAIL, FAIL, FAIL)
    assert down.healthy is False
    assert down.since == at(3)
    assert after(FAIL, FAIL, FAIL, PASS).healthy is False
    assert after(FAIL, FAIL, FAIL, PASS, PASS).healthy


def test_it_takes_fall_failures_in_a_row() -> None:
    """A pass in between resets the count; the reason is that of the last failure."""
    assert after(PASS, FAIL, FAIL, PASS, FAIL, FAIL).healthy
    down = after(PASS, FAIL, FAIL, PASS, FAIL, FAIL, TIMED_OUT)
    assert down.healthy is False
    assert TIMED_OUT.why == down.reasons
    assert down.last == TIMED_OUT


def test_it_takes_rise_passes_in_a_row() -> None:
    """A failure in between resets the count."""
    down = after(FAIL, FAIL, FAIL)
    assert after(PASS, FAIL, PASS, first=down).healthy is False
    risen = after(PASS, FAIL, PASS, PASS, first=down)
    assert risen.healthy
    assert (PROBES_PASSED(count=2),) == risen.reasons


def test_a_server_that_is_down_has_the_reason_of_its_last_failure() -> None:
    """The time since which it is down does not change."""
    down = after(FAIL, FAIL, FAIL, TIMED_OUT)
    assert (TIMED_OUT.why, at(3)) == (down.reasons, down.since)


@given(checks, beginnings, st.lists(outcomes, max_size=60))
def test_flapping_is_bounded(check: HealthCheck, first: Verdict, later: Sequence[Outcome]) -> None:
    """Between two changes are at least fall failures or rise passes."""
    seen = history(first, later, check)
    changes = [
        n for n, (one, two) in enumerate(pairwise(seen), start=1) if one.healthy is not two.healthy
    ]
    for earlier, change in zip([0, *changes], changes, strict=False):
        was, becomes = seen[change - 1].healthy, seen[change].healthy
        counted = [o for o in later[earlier:change] if o is not MUTE]
        needed = check.fall if becomes is False else 1 if was is None else check.rise
        assert [FAIL if becomes is False else PASS] * needed == counted[-needed:]


@given(checks, st.integers(1, 100))
def test_alternating_outcomes_change_nothing(check: HealthCheck, turns: int) -> None:
    """If rise and fall are 2 or more."""
    check = replace(check, rise=check.rise + 1, fall=check.fall + 1)
    up = after(PASS, check=check)
    assert history(up, [FAIL, PASS] * turns, check)[-1].healthy
    down = after(*[FAIL] * check.fall, check=check)
    assert history(down, [PASS, FAIL] * turns, check)[-1].healthy is False


# --- what does not --------------------------------------------------------------------------


@given(checks, beginnings, st.lists(outcomes, max_size=60))
def test_inconclusive_probes_change_nothing(
    check: HealthCheck, first: Verdict, later: Sequence[Outcome]
) -> None:
    """The verdict depends on the other probes only."""
    muted = history(first, later, check)[-1]
    heard = history(first, [o for o in later if o is not MUTE], check)[-1]
    assert (heard.healthy, heard.against, heard.reasons) == (
        muted.healthy,
        muted.against,
        muted.reasons,
    )


def test_a_frozen_verdict_has_a_reason_and_a_time() -> None:
    """The first inconclusive probe sets the time, the last one the reason; any other unfreezes."""
    frozen = after(PASS, MUTE, Inconclusive(because("accept_local is 0")))
    assert Frozen(because("accept_local is 0"), at(2)) == frozen.frozen
    assert frozen.healthy
    assert judge(frozen, PASS, CHECK, at(4)).frozen is None
    assert judge(frozen, FAIL, CHECK, at(4)).frozen is None


def test_failures_in_the_grace_do_not_count() -> None:
    """Until it is over or a probe has passed."""
    patient = replace(CHECK, grace_s=10, fall=2)
    serving = assumed_healthy(START)
    assert after(*[FAIL] * 10, first=serving, check=patient).healthy
    assert after(*[FAIL] * 11, first=serving, check=patient).healthy is False
    assert after(PASS, FAIL, FAIL, first=serving, check=patient).healthy is False
    assert after(*[FAIL] * 10, check=patient).healthy is None
    assert after(*[FAIL] * 10, PASS, check=patient).healthy


@given(checks, st.lists(st.sampled_from([PASS, MUTE]), max_size=20))
def test_a_server_that_already_serves_needs_no_pass(
    check: HealthCheck, later: Sequence[Outcome]
) -> None:
    """Only fall failures take it out."""
    assert all(verdict.healthy for verdict in history(assumed_healthy(START), later, check))


@given(verdicts)
def test_a_verdict_survives_storage(verdict: Verdict) -> None:
    """With its time and reason."""
    kept = resumed(verdict.kept)
    assert (verdict.healthy, verdict.since, verdict.reasons) == (
        kept.healthy,
        kept.since,
        kept.reasons,
    )


@given(checks, beginnings, st.lists(outcomes, max_size=30), st.lists(outcomes, max_size=30))
def test_a_restart_never_hastens_a_change(
    check: HealthCheck, first: Verdict, before: Sequence[Outcome], later: Sequence[Outcome]
) -> None:
    """Counts are reset: fall failures after the restart are needed to take a server out."""
    kept = resumed(history(first, before, check)[-1].kept)
    seen = history(kept, later, check)
    for count, verdict in enumerate(seen):
        if verdict.healthy is not kept.healthy:
            counted = [o for o in later[:count] if o is not MUTE]
            needed = (
                check.fall
                if verdict.healthy is False
                else 1
                if kept.healthy is None
                else check.rise
            )
            assert len(counted) >= needed
            break


# --- when the next probe is due -------------------------------------------------------------


@given(checks, verdicts, st.floats(0, 1), st.floats(0, 1000), st.floats(0, 30))
def test_the_next_probe_is_due_after_the_last_one(
    check: HealthCheck, verdict: Verdict, chance: float, started_s: float, took_s: float
) -> None:
    """Never concurrently, and no later than the longest interval or the last probe's end."""
    ended_s = started_s + took_s
    due_s = next_due_s(check, verdict, started_s, ended_s, lambda: chance)
    longest_s = check.interval_s * (1 + check.jitter)
    assert ended_s <= due_s
    assert due_s <= max(ended_s, started_s + longest_s + 1e-6)


@given(checks, st.floats(0, 1))
def test_the_fast_interval_holds_while_a_verdict_is_changing(
    check: HealthCheck, chance: float
) -> None:
    """Exactly, and only if it is shorter; jitter applies to the normal interval."""
    fast_s = min(check.fast_interval_s, check.interval_s)
    doubted = replace(after(PASS), against=1)
    assert fast_s == interval_s(check, doubted, lambda: chance)
    assert fast_s == interval_s(check, unchecked(START), lambda: chance)
    slow_s = interval_s(check, after(PASS), lambda: chance)
    spread_s = check.interval_s * check.jitter
    assert check.interval_s - spread_s - 1e-9 <= slow_s <= check.interval_s + spread_s + 1e-9


def test_jitter_reaches_both_ends() -> None:
    """An interval of 2 s with a jitter of 0.1 lasts from 1.8 s to 2.2 s."""
    check = replace(CHECK, interval_s=2.0, jitter=0.1)
    assert [1.8, 2.0, 2.2] == [interval_s(check, after(PASS), lambda c=c: c) for c in (0, 0.5, 1)]


def test_first_probes_are_spread() -> None:
    """Over the fast interval, so that a thousand targets do not start at once."""
    assert [5.0, 5.5, 6.0] == [first_due_s(CHECK, 5.0, lambda c=c: c) for c in (0, 0.5, 1)]


@given(checks, st.floats(0, 1), st.floats(0, 1), st.randoms())
def test_the_time_until_a_dead_server_is_down_is_bounded(
    check: HealthCheck, death: float, share: float, random: object
) -> None:
    """By the longest interval, fall - 1 fast intervals or timeouts, and a timeout."""
    chance = random.random  # type: ignore[attr-defined]
    verdict, now_s = after(PASS, check=check), 0.0
    # It dies at any moment between the start of the last probe that passed and the next one's.
    died_s = death * check.interval_s
    due_s = next_due_s(check, verdict, now_s, now_s, chance)
    while due_s < died_s:
        due_s = next_due_s(check, verdict, due_s, due_s, chance)
    for _ in range(check.fall):
        assert verdict.healthy
        ended_s = due_s + share * check.timeout_s
        verdict = judge(verdict, FAIL, check, START + timedelta(seconds=ended_s))
        due_s = next_due_s(check, verdict, due_s, ended_s, chance)
    assert verdict.healthy is False
    fast_s = max(check.fast_interval_s, check.timeout_s)
    bound_s = check.interval_s * (1 + check.jitter) + (check.fall - 1) * fast_s + check.timeout_s
    assert ended_s - died_s <= bound_s + 1e-6
