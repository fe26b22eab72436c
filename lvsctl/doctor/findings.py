"""What doctor finds. Pure."""

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How a finding bears on service.

    BROKEN keeps packets from arriving or being answered. WARNING does so under conditions that
    were not met, or could not be seen, while doctor looked.
    """

    BROKEN = "broken"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: How bad it is.
        subject: The thing, as ip(8), sysctl(8) or ipvsadm(8) names it.
        what: What is seen.
        why: Why it matters.
        cure: The command that mends it.
    """

    severity: Severity
    subject: str
    what: str
    why: str
    cure: str


def broken(subject: str, what: str, why: str, cure: str) -> Finding:
    """Return a finding that stops service."""
    return Finding(Severity.BROKEN, subject, what, why, cure)


def warning(subject: str, what: str, why: str, cure: str) -> Finding:
    """Return a finding that may stop service."""
    return Finding(Severity.WARNING, subject, what, why, cure)
