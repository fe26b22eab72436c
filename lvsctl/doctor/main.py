"""Examines this host and returns the diagnosis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lvsctl.agent.sysctls import PARAMETERS
from lvsctl.doctor.checks import judge
from lvsctl.doctor.checks.sysctls import effective
from lvsctl.doctor.facts import Facts, ProbeResult, TunnelPath
from lvsctl.doctor.findings import Finding
from lvsctl.doctor.gather import gather
from lvsctl.doctor.roles import Options

Json = Any
_REPORTED_COUNTERS = (
    "TcpExt IPReversePathFilter",
    "Icmp OutDestUnreachs",
    "Ip InNoRoutes",
    "Ip ReasmFails",
    "Ip6 Ip6InAddrErrors",
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What doctor gathered and found.

    Attributes:
        facts: What was gathered.
        findings: Each with the name of its check.
    """

    facts: Facts
    findings: tuple[tuple[str, Finding], ...]


def examine(options: Options) -> Diagnosis:
    """Examine this host; raises what :func:`lvsctl.doctor.gather.gather` raises."""
    facts = gather(options)
    return Diagnosis(facts, tuple(judge(facts)))


def document(diagnosis: Diagnosis) -> Json:
    """Return the JSON document of ``lvsctl doctor -o json``."""
    facts = diagnosis.facts
    return {
        "host": facts.host,
        "roles": [str(role) for role in facts.roles],
        "findings": [
            {
                "check": check,
                "severity": str(finding.severity),
                "subject": finding.subject,
                "what": finding.what,
                "why": finding.why,
                "cure": finding.cure,
            }
            for check, finding in diagnosis.findings
        ],
        "sysctls": list(_sysctls(facts)),
        "paths": [_path(what, probed) for what, probed in facts.probed.items() if probed.asked],
        "counters": {
            name: {"total": facts.after.values[name], "rise": facts.rise.values[name]}
            for name in _REPORTED_COUNTERS
            if name in facts.after.values
        },
        "not_looked": list(facts.not_looked),
    }


def _sysctls(facts: Facts) -> Iterator[Json]:
    """Yield the effective rp_filter and ARP sysctls of each device, and what sets them."""
    for link in facts.links:
        for parameter in PARAMETERS:
            found = effective(facts, link, parameter)
            if found is not None:
                yield {
                    "link": link,
                    "parameter": parameter,
                    "value": found.value,
                    "through": str(found.key),
                    "file": found.setting.file if found.setting else None,
                }


def _path(what: object, probed: ProbeResult) -> Json:
    return {
        "to": str(what.rip if isinstance(what, TunnelPath) else what),
        "tunnel": str(what.encapsulation) if isinstance(what, TunnelPath) else None,
        "bytes": probed.passed,
        "device": probed.asked,
        "told": [{"by": str(each.sender), "mtu": each.mtu} for each in probed.too_big],
    }
