"""Limits on the size of a report: the director refuses larger ones, and agents stay within them.

A director keeps the last report of each agent in memory, and new findings in its history. Without
limits a single broken or hostile agent could fill both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from lvsctl.errors import Problem
from lvsctl.messages.model import Finding, Report, Severity, Tunnel, TunnelEndState
from lvsctl.reasons.hosts import REPORT_CUT

MAX_REPORT_BYTES = 512 * 1024
MAX_FINDINGS = 50

_LISTS: Mapping[str, int] = {
    "ready": 10_000,
    "tunnels": 100,
    "findings": MAX_FINDINGS,
    "tunnel_ends": 250,
}
_TEXTS: Mapping[type, Mapping[str, int]] = {
    Report: {"farm_id": 100},
    Tunnel: {"type": 40},
    Finding: {"subject": 200, "detail": 1000, "cure": 1000, "at": 40, "code": 60},
    TunnelEndState: {"tunnel": 100, "since": 40, "reason": 1000},
}
"""Maximum length of each text, in characters."""

PartT = TypeVar("PartT", Finding, TunnelEndState)


def report_problems(report: Report) -> Iterator[Problem]:
    """Yield each limit that a report exceeds."""
    yield from _text_problems("", report)
    for name, most in _LISTS.items():
        parts = getattr(report, name)
        if len(parts) > most:
            yield Problem(f"/{name}", f"{len(parts)} items are too many", f"up to {most}")
            continue
        for index, part in enumerate(parts):
            yield from _text_problems(f"/{name}/{index}", part)


def _text_problems(pointer: str, part: Any) -> Iterator[Problem]:  # noqa: ANN401 - of any class
    for field, most in _TEXTS.get(type(part), {}).items():
        length = len(getattr(part, field))
        if length > most:
            yield Problem(
                f"{pointer}/{field}", f"{length} characters are too long", f"up to {most}"
            )


def within_limits(report: Report) -> Report:
    """Truncate a report to the limits.

    If there are too many findings, broken ones come first, then the newest; one more finding
    gives the number of those left out.
    """
    return replace(
        report,
        ready=report.ready[: _LISTS["ready"]],
        tunnels=report.tunnels[: _LISTS["tunnels"]],
        findings=tuple(map(_cut, _most_important(report.findings))),
        tunnel_ends=tuple(map(_cut, report.tunnel_ends[: _LISTS["tunnel_ends"]])),
    )


def _cut(part: PartT) -> PartT:
    cut: dict[str, Any] = {
        field: f"{text[: most - 1]}…"
        for field, most in _TEXTS[type(part)].items()
        if len(text := getattr(part, field)) > most
    }
    return replace(part, **cut) if cut else part


def _most_important(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    if len(findings) <= MAX_FINDINGS:
        return findings
    by_importance = sorted(
        findings, key=lambda each: (each.severity is Severity.BROKEN, each.at), reverse=True
    )
    kept = {*by_importance[: MAX_FINDINGS - 1]}
    more_found = REPORT_CUT(count=len(findings) - len(kept))
    more = Finding(
        Severity.BROKEN,
        "lvsctl-agent",
        str(more_found),
        "list all of them on the host: lvsctl agent status",
        findings[-1].at,
        more_found.code,
    )
    return (*(each for each in findings if each in kept), more)
