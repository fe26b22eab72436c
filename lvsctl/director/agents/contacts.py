"""The last reports of agents: silence, and new findings."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lvsctl.events import Event, EventKind
from lvsctl.farm.status import Agent
from lvsctl.messages.model import Finding, Membership, Report

LOST_AFTER_S = 30.0
"""Time without a report from which an agent counts as lost; one is due every ten seconds."""

TOLD_AT_ONCE = 5
"""Maximum number of new findings in a report that become separate events."""


@dataclass(frozen=True, slots=True)
class Contact:
    """The last report of an agent.

    Attributes:
        report: The report.
        at_s: When it arrived, on the director's monotonic clock.
    """

    report: Report
    at_s: float


class AgentWatch:
    """Detects that agents fall silent or return, and what is new in their reports."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._contacts: dict[str, Contact] = {}
        self._lost: set[str] = set()

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The last report of each agent since this director started."""
        return dict(self._contacts)

    def forget(self, names: Collection[str]) -> None:
        """Forget removed agents: a later one of the same name is a different one."""
        for name in names:
            self._contacts.pop(name, None)
            self._lost.discard(name)

    def look(self, agents: Mapping[str, Agent], now_s: float) -> Iterator[Event]:
        """Yield the agents that have been silent for too long, each once.

        The time before the first call does not count, as this director was not running.
        """
        if self._since_s is None:
            self._since_s = now_s
        for name, agent in agents.items():
            contact = self._contacts.get(name)
            silent_s = now_s - (contact.at_s if contact else self._since_s)
            if agent.membership is Membership.LEFT or name in self._lost:
                continue
            if silent_s > LOST_AFTER_S:
                self._lost.add(name)
                yield Event(
                    EventKind.AGENT_LOST,
                    name,
                    f"not heard of for {int(silent_s)} s; its server at {agent.address} stays as "
                    "it is",
                )

    def record_report(self, name: str, report: Report, now_s: float) -> tuple[Event, ...]:
        """Record a report, and return what is new in it."""
        before = self._contacts.get(name)
        self._contacts[name] = Contact(report, now_s)
        known = {_what(each) for each in before.report.findings} if before else set()
        new = [each for each in report.findings if _what(each) not in known]
        events = [_told(name, each) for each in new[:TOLD_AT_ONCE]]
        if len(new) > TOLD_AT_ONCE:
            more = f"{len(new) - TOLD_AT_ONCE} more new findings; lvsctl agent show {name} has all"
            events.append(Event(EventKind.AGENT_FINDING, name, more))
        if name in self._lost:
            self._lost.discard(name)
            events.insert(0, Event(EventKind.AGENT_RETURNED, name, "it reports again"))
        return tuple(events)


def _what(finding: Finding) -> tuple[str, str]:
    """Return the identity of a finding, regardless of its time."""
    return finding.subject, finding.detail


def _told(name: str, finding: Finding) -> Event:
    cure = f"; {finding.cure}" if finding.cure else ""
    detail = f"{finding.severity}: {finding.subject}: {finding.detail}{cure}"
    return Event(EventKind.AGENT_FINDING, name, detail, code=finding.code)
