"""Outcomes of a probe."""

from dataclasses import dataclass

from lvsctl.reasons.reason import Reason, Reasons


@dataclass(frozen=True, slots=True)
class Passed:
    """The server answered as expected, after ``took_s``."""

    took_s: float


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The server did not answer as expected.

    Attributes:
        reason: "192.0.2.11:80 refused the connection".
        took_s: From the start of the probe to its failure.
        silent: No packet came back.
        meaning: What that points to; may be empty.
    """

    reason: Reason
    took_s: float
    silent: bool = False
    meaning: Reasons = ()

    @property
    def why(self) -> Reasons:
        """Reason and likely cause."""
        return (self.reason, *self.meaning)


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The probe says nothing about the server: a local fault, or its path was not in place.

    Attributes:
        reason: Why the probe does not count.
    """

    reason: Reason


Outcome = Passed | ProbeFailed | Inconclusive
