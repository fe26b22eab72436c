"""What an agent reports: faults that stand, and faults that were mended."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lvsctl.agent.faults import Fault
from lvsctl.messages.model import Finding, Severity

SHOWN_FOR = timedelta(hours=1)
"""How long a mended fault stays in the report."""
FIGHT_WITHIN = timedelta(minutes=10)
"""Two repairs of one thing that are no further apart belong together."""
FIGHT_FROM = 3
"""From so many repairs that belong together on, something else is at work."""


@dataclass(frozen=True, slots=True)
class _Repair:
    fault: Fault
    first: datetime
    last: datetime
    times: int = 1


class Findings:
    """Faults over time."""

    def __init__(self) -> None:
        self._standing: dict[Fault, datetime] = {}
        self._repairs: dict[str, _Repair] = {}

    def standing(self, faults: Iterable[Fault], now: datetime) -> None:
        """Take note of all faults that stand now; those that stood before keep their time."""
        self._standing = {fault: self._standing.get(fault, now) for fault in faults}

    def mended(self, fault: Fault, now: datetime) -> None:
        """Take note of a fault that was there and is no more."""
        before = self._repairs.get(fault.subject)
        if before is not None and now - before.last <= FIGHT_WITHIN:
            repair = replace(before, fault=fault, last=now, times=before.times + 1)
        else:
            repair = _Repair(fault, first=now, last=now)
        self._repairs[fault.subject] = repair

    def all(self, now: datetime) -> tuple[Finding, ...]:
        """Return what is to be reported, oldest first."""
        self._repairs = {
            subject: repair
            for subject, repair in self._repairs.items()
            if now - repair.last <= SHOWN_FOR
        }
        standing = [
            Finding(Severity.BROKEN, fault.subject, fault.detail, fault.cure, utc(since))
            for fault, since in self._standing.items()
        ]
        mended = [
            Finding(Severity.REPAIRED, subject, _told(repair), "", utc(repair.last))
            for subject, repair in self._repairs.items()
        ]
        return tuple(sorted((*standing, *mended), key=lambda finding: finding.at))


def utc(at: datetime) -> str:
    """Write a time as ISO 8601 in UTC, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(repair: _Repair) -> str:
    if repair.times < FIGHT_FROM:
        return f"{repair.fault.detail}; put right"
    return (
        f"{repair.fault.detail}; put right {repair.times} times since {utc(repair.first)}: "
        "something else on this host changes it back (sysctl.d, NetworkManager, keepalived, "
        "a configuration management?)"
    )
