"""Turns outcomes of probes into a verdict, and decides when to probe next. Pure.

Only outcomes that count change a verdict, one at a time. The rules are stated as properties in
``tests/unit/health/test_verdict.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.farm.checks import HealthCheck
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.reasons import servers
from lvsctl.reasons.reason import Reason, Reasons


@dataclass(frozen=True, slots=True)
class Frozen:
    """Why the latest probes did not count, and since when."""

    reason: Reason
    since: datetime


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """The part of a :class:`Verdict` that survives a restart of the director."""

    healthy: bool | None
    since: datetime | None
    reasons: Reasons


@dataclass(frozen=True, slots=True)
class Verdict:
    """State of a check of one target.

    Attributes:
        healthy: None until the first pass, or until it is down.
        since: When it last changed; None if it was so before checking began.
        reasons: Why.
        against: Consecutive outcomes that contradict it; without a verdict, failures.
        starting: When checking began; None once a probe has passed.
        frozen: Set while the latest probes do not count.
        last: The last outcome that counted; None if none did since the director started.
    """

    healthy: bool | None
    since: datetime | None
    reasons: Reasons
    against: int = 0
    starting: datetime | None = None
    frozen: Frozen | None = None
    last: Passed | ProbeFailed | None = None

    @property
    def changing(self) -> bool:
        """Whether the next outcome may flip the verdict; probe at the fast interval."""
        return self.healthy is None or self.against > 0

    @property
    def kept(self) -> KeptVerdict:
        """The part that survives a restart of the director."""
        return KeptVerdict(self.healthy, self.since, self.reasons)


def unchecked(at: datetime) -> Verdict:
    """Return the initial verdict of a target that does not serve yet."""
    return Verdict(healthy=None, since=at, reasons=(servers.NOT_CHECKED(),), starting=at)


def assumed_healthy(at: datetime) -> Verdict:
    """Return the initial verdict of a target that already serves.

    It was in the kernel's table when the director started, or served before its pool got this
    check, and stays in service until it fails.
    """
    reasons = (servers.ASSUMED_HEALTHY(),)
    return Verdict(healthy=True, since=None, reasons=reasons, starting=at)


def resumed(kept: KeptVerdict) -> Verdict:
    """Return the verdict of a target from before a restart of the director."""
    return Verdict(kept.healthy, kept.since, kept.reasons)


def moved(verdict: Verdict, move: Callable[[datetime], datetime]) -> Verdict:
    """Return a verdict with its times adjusted after the system clock was set."""
    frozen = verdict.frozen
    return replace(
        verdict,
        since=move(verdict.since) if verdict.since else None,
        starting=move(verdict.starting) if verdict.starting else None,
        frozen=replace(frozen, since=move(frozen.since)) if frozen else None,
    )


def judge(verdict: Verdict, outcome: Outcome, check: HealthCheck, at: datetime) -> Verdict:
    """Apply the outcome of one more probe to a verdict.

    Args:
        verdict: Before the probe.
        outcome: Of the probe. An inconclusive one freezes the verdict and its counter.
        check: Its rise, fall and grace.
        at: When the probe ended, in UTC.
    """
    match outcome:
        case Inconclusive(reason):
            since = verdict.frozen.since if verdict.frozen else at
            return replace(verdict, frozen=Frozen(reason, since))
        case Passed():
            return _passed(replace(verdict, frozen=None, last=outcome, starting=None), check, at)
        case ProbeFailed():
            return _failed(replace(verdict, frozen=None, last=outcome), outcome, check, at)


def _passed(verdict: Verdict, check: HealthCheck, at: datetime) -> Verdict:
    if verdict.healthy:
        return replace(verdict, against=0)
    passes = verdict.against + 1
    if verdict.healthy is None:
        first = (servers.FIRST_PROBE_PASSED(),)
        return replace(verdict, healthy=True, since=at, reasons=first, against=0)
    if passes < check.rise:
        return replace(verdict, against=passes)
    enough = servers.PROBE_PASSED() if passes == 1 else servers.PROBES_PASSED(count=passes)
    return replace(verdict, healthy=True, since=at, reasons=(enough,), against=0)


def _failed(verdict: Verdict, failure: ProbeFailed, check: HealthCheck, at: datetime) -> Verdict:
    if verdict.healthy is False:
        return replace(verdict, reasons=failure.why, against=0)
    if verdict.healthy is None:
        verdict = replace(verdict, reasons=(servers.NOT_UP_YET(why=failure.why),))
    if verdict.starting and at < verdict.starting + timedelta(seconds=check.grace_s):
        return verdict
    failures = verdict.against + 1
    if failures < check.fall:
        return replace(verdict, against=failures)
    return replace(verdict, healthy=False, since=at, reasons=failure.why, against=0)


def interval_s(check: HealthCheck, verdict: Verdict, random: Callable[[], float]) -> float:
    """Return the time from the start of one probe to the start of the next.

    Args:
        check: Its intervals and jitter.
        verdict: While it is changing, the fast interval applies, without jitter.
        random: Returns a number from 0 to 1.
    """
    if verdict.changing:
        return min(check.fast_interval_s, check.interval_s)
    return check.interval_s * (1 + check.jitter * (2 * random() - 1))


def first_due_s(check: HealthCheck, now_s: float, random: Callable[[], float]) -> float:
    """Return when to probe a target first: soon, but not all targets at once."""
    return now_s + random() * min(check.fast_interval_s, check.interval_s)


def next_due_s(
    check: HealthCheck,
    verdict: Verdict,
    started_s: float,
    ended_s: float,
    random: Callable[[], float],
) -> float:
    """Return when to start the next probe: never before the last one has ended.

    Args:
        check: Its intervals and jitter.
        verdict: After the last probe.
        started_s: When the last probe was due, on a monotonic clock.
        ended_s: When it ended, on the same clock.
        random: Returns a number from 0 to 1.
    """
    return max(started_s + interval_s(check, verdict, random), ended_s)
