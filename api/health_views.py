"""Documents about health. Pure."""

from collections.abc import Iterable, Mapping

from api.reason_views import explained
from api.schemas.status import CheckStatus, HealthName, HealthStatus, LastProbe, ServiceHealth
from lvsctl.director.reconcile import cycle
from lvsctl.farm.checks import kind_of
from lvsctl.health.outcome import Passed, ProbeFailed
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import Verdict
from lvsctl.health.weights import health_of
from lvsctl.reasons.reason import code_of, in_words
from lvsctl.times import format_utc


def health_name(*, healthy: bool | None) -> HealthName:
    """Return the name of a verdict in documents."""
    return "unknown" if healthy is None else "up" if healthy else "down"


def worst(names: Iterable[HealthName]) -> HealthName | None:
    """Return the worst of several; None if there are none."""
    order: tuple[HealthName, ...] = ("down", "unknown", "up")
    return min(names, key=order.index, default=None)


def health_status(target: TargetId, verdicts: Mapping[ProbeId, Verdict]) -> HealthStatus:
    """Return the health of a server for one VIP, over all its checks."""
    health = health_of(verdicts.values())
    return {
        "vip": str(target.vip),
        "health": health_name(healthy=health.healthy),
        "since": format_utc(health.since) if health.since else None,
        **explained(health.reasons),
        "checks": [_check_status(probe_id, verdict) for probe_id, verdict in verdicts.items()],
    }


def _check_status(probe_id: ProbeId, verdict: Verdict) -> CheckStatus:
    frozen = verdict.frozen.reason if verdict.frozen else None
    return {
        "type": kind_of(probe_id.request).value,
        "port": probe_id.port,
        "through": probe_id.through.value,
        "health": health_name(healthy=verdict.healthy),
        "since": format_utc(verdict.since) if verdict.since else None,
        **explained(verdict.reasons),
        "frozen": str(frozen) if frozen else None,
        "frozen_code": frozen.code if frozen else "",
        "last": _last_probe(verdict.last),
    }


def _last_probe(last: Passed | ProbeFailed | None) -> LastProbe | None:
    if last is None:
        return None
    why = last.why if isinstance(last, ProbeFailed) else ()
    return {
        "passed": isinstance(last, Passed),
        "took_ms": round(last.took_s * 1000, 3),
        "error": in_words(why),
        "code": code_of(why),
    }


def service_health(health: cycle.ServiceHealth) -> ServiceHealth:
    """Return the effect of a pool's health on a service."""
    return {
        "healthy": health.healthy,
        "panic": str(health.panic or ""),
        "panic_code": health.panic.code if health.panic else "",
        "sorry": health.sorry,
        "lost_quorum": str(health.lost_quorum or ""),
        "lost_quorum_code": health.lost_quorum.code if health.lost_quorum else "",
        "withdrawn": health.withdrawn,
    }
