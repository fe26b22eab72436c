"""Documents about agents. Pure."""

from collections.abc import Iterable

from api.schemas.agents import AgentStatus, FindingStatus, ReadinessStatus
from api.views import DirectorSnapshot, age
from lvsctl.farm.status import Agent, Readiness
from lvsctl.messages.model import Report


def agent_document(agent: Agent, snapshot: DirectorSnapshot) -> AgentStatus:
    """Return an agent with its last report."""
    contact = snapshot.contacts.get(agent.name)
    return {
        "name": agent.name,
        "address": str(agent.address),
        "pools": list(agent.pools),
        "weight": agent.weight,
        "membership": agent.membership.value,
        "ready": _readiness(agent.ready),
        "awaited": _readiness(snapshot.state.requirements.readiness(agent) - agent.ready),
        "accepts": sorted(map(str, contact.report.tunnels)) if contact else [],
        "age": age(snapshot, contact) if contact else None,
        "findings": _findings(contact.report) if contact else [],
    }


def _readiness(values: Iterable[Readiness]) -> list[ReadinessStatus]:
    ordered = sorted(values, key=lambda value: (value.vip.version, int(value.vip), value.tunnel))
    return [{"vip": str(value.vip), "tunnel": str(value.tunnel)} for value in ordered]


def _findings(report: Report) -> list[FindingStatus]:
    return [
        {
            "severity": finding.severity.value,
            "subject": finding.subject,
            "detail": finding.detail,
            "cure": finding.cure,
            "at": finding.at,
            "code": finding.code,
        }
        for finding in report.findings
    ]
