"""An agent's findings: active faults, and recent repairs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.agent.faults import Fault
from lvsctl.messages.model import Finding, Severity
from lvsctl.times import format_utc

REPAIR_RETENTION = timedelta(hours=1)
"""How long a repair stays in the report."""
FLAP_WINDOW = timedelta(minutes=10)
"""Repairs of one subject that are no further apart count as one series."""
FLAP_THRESHOLD = 3
"""Length of a series from which something else is assumed to undo the repairs."""


@dataclass(frozen=True, slots=True)
class _Repair:
    fault: Fault
    first: datetime
    last: datetime
    times: int = 1


class Findings:
    """Faults over time."""

    def __init__(self) -> None:
        self._active: dict[Fault, datetime] = {}
        self._repairs: dict[str, _Repair] = {}

    def set_active(self, faults: Iterable[Fault], now: datetime) -> None:
        """Replace the active faults; a fault that was active already keeps its start time."""
        self._active = {fault: self._active.get(fault, now) for fault in faults}

    def record_repair(self, fault: Fault, now: datetime) -> None:
        """Record that a fault was repaired."""
        before = self._repairs.get(fault.subject)
        if before is not None and now - before.last <= FLAP_WINDOW:
            repair = replace(before, fault=fault, last=now, times=before.times + 1)
        else:
            repair = _Repair(fault, first=now, last=now)
        self._repairs[fault.subject] = repair

    def all(self, now: datetime) -> tuple[Finding, ...]:
        """Return the findings to report, oldest first."""
        self._repairs = {
            subject: repair
            for subject, repair in self._repairs.items()
            if now - repair.last <= REPAIR_RETENTION
        }
        active = [
            Finding(
                Severity.BROKEN,
                fault.subject,
                fault.detail,
                fault.cure,
                format_utc(since),
                fault.code,
            )
            for fault, since in self._active.items()
        ]
        repaired = [
            Finding(
                Severity.REPAIRED,
                subject,
                _describe(repair),
                "",
                format_utc(repair.last),
                repair.fault.code,
            )
            for subject, repair in self._repairs.items()
        ]
        return tuple(sorted((*active, *repaired), key=lambda finding: finding.at))


def _describe(repair: _Repair) -> str:
    if repair.times < FLAP_THRESHOLD:
        return f"{repair.fault.detail}; repaired"
    return (
        f"{repair.fault.detail}; repaired {repair.times} times since {format_utc(repair.first)}: "
        "something else on this host changes it back; check sysctl.d, NetworkManager, keepalived "
        "and configuration management"
    )
