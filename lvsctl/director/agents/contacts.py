"""Which agents are heard of, and what they find."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lvsctl.events import Event, EventKind
from lvsctl.farm.status import Agent
from lvsctl.messages.model import Finding, Membership, Report

LOST_AFTER_S = 30.0
"""An agent that lives is heard of every ten seconds."""

TOLD_AT_ONCE = 5
"""How many new findings of one report become events of their own."""


@dataclass(frozen=True, slots=True)
class Contact:
    """The last sign of life of an agent.

    Attributes:
        report: What it said.
        at_s: When, on the director's clock that only runs forward.
    """

    report: Report
    at_s: float


class AgentWatch:
    """Tells when an agent falls silent, when it is back, and what is new in its reports."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._contacts: dict[str, Contact] = {}
        self._lost: set[str] = set()

    @property
    def contacts(self) -> Mapping[str, Contact]:
        """The last sign of life of each agent since this director started."""
        return dict(self._contacts)

    def forget(self, names: Collection[str]) -> None:
        """Forget agents that were removed: a later one of the same name is another."""
        for name in names:
            self._contacts.pop(name, None)
            self._lost.discard(name)

    def look(self, agents: Mapping[str, Agent], now_s: float) -> Iterator[Event]:
        """Yield the agents that have been silent for too long by now, each once.

        Before its first look this director did not run, and nobody could be heard of.
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
        """Take note of a report and return what is new with it."""
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
    """Return what makes two findings the same, whenever they were made."""
    return finding.subject, finding.detail


def _told(name: str, finding: Finding) -> Event:
    cure = f"; {finding.cure}" if finding.cure else ""
    detail = f"{finding.severity}: {finding.subject}: {finding.detail}{cure}"
    return Event(EventKind.AGENT_FINDING, name, detail, code=finding.code)
