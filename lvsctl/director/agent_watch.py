"""Which agents are heard of, and what they find."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lvsctl.agent.messages import Finding, Membership, Report
from lvsctl.events import Event, EventKind
from lvsctl.status import Agent

LOST_AFTER = timedelta(seconds=30)
"""An agent that lives is heard of every ten seconds."""


@dataclass(frozen=True, slots=True)
class Contact:
    """The last sign of life of an agent.

    Attributes:
        report: What it said.
        at: When, in UTC.
    """

    report: Report
    at: datetime


class AgentWatch:
    """Tells when an agent falls silent, when it is back, and what is new in its reports."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._contacts: dict[str, Contact] = {}
        self._lost: set[str] = set()

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The last sign of life of each agent since this director started."""
        return dict(self._contacts)

    def look(self, agents: Mapping[str, Agent], now: datetime) -> Iterator[Event]:
        """Yield the agents that have been silent for too long by now, each once.

        Before its first look this director did not run, and nobody could be heard of.
        """
        self._since = self._since or now
        self._lost &= agents.keys()
        for name, agent in agents.items():
            contact = self._contacts.get(name)
            last = contact.at if contact else self._since
            if agent.membership is Membership.LEFT or name in self._lost:
                continue
            if now - last > LOST_AFTER:
                self._lost.add(name)
                silent_s = int((now - last).total_seconds())
                yield Event(
                    EventKind.AGENT_LOST,
                    name,
                    f"not heard of for {silent_s} s; its server at {agent.address} stays as it is",
                )

    def heard(self, name: str, report: Report, now: datetime) -> tuple[Event, ...]:
        """Take note of a report and return what is new with it."""
        before = self._contacts.get(name)
        self._contacts[name] = Contact(report, now)
        known = {_what(each) for each in before.report.findings} if before else set()
        events = [_told(name, each) for each in report.findings if _what(each) not in known]
        if name in self._lost:
            self._lost.discard(name)
            events.insert(0, Event(EventKind.AGENT_RETURNED, name, "it reports again"))
        return tuple(events)


def _what(finding: Finding) -> tuple[str, str]:
    """Return what makes two findings the same, whenever they were made."""
    return finding.subject, finding.detail


def _told(name: str, finding: Finding) -> Event:
    cure = f"; {finding.cure}" if finding.cure else ""
    detail = f"{finding.severity}: {finding.subject}: {finding.detail}{cure}"
    return Event(EventKind.AGENT_FINDING, name, detail)
