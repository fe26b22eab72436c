"""A finding of doctor, and how severe it is. Pure."""

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How a finding affects service.

    BROKEN: packets do not arrive, or are not answered. WARNING: the same, but under conditions
    that did not hold, or could not be verified, while doctor ran.
    """

    BROKEN = "broken"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: How it affects service.
        subject: The object, as ip(8), sysctl(8) or ipvsadm(8) names it.
        what: What was observed.
        why: Why it matters.
        cure: The command that fixes it.
    """

    severity: Severity
    subject: str
    what: str
    why: str
    cure: str


def broken(subject: str, what: str, why: str, cure: str) -> Finding:
    """Return a finding of severity BROKEN."""
    return Finding(Severity.BROKEN, subject, what, why, cure)


def warning(subject: str, what: str, why: str, cure: str) -> Finding:
    """Return a finding of severity WARNING."""
    return Finding(Severity.WARNING, subject, what, why, cure)
