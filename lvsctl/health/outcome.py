"""Outcomes of a probe."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passed:
    """The server answered as expected, after ``took_s``."""

    took_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The server did not answer as expected.

    Attributes:
        reason: For a person: "192.0.2.11:80 refused the connection".
        took_s: From the start of the probe to its failure.
        silent: No packet came back.
        meaning: Likely cause, for a person; may be empty.
    """

    reason: str
    took_s: float
    silent: bool = False
    meaning: str = ""

    @property
    def why(self) -> str:
        """Reason and likely cause."""
        return f"{self.reason}; {self.meaning}" if self.meaning else self.reason


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The probe says nothing about the server: a local fault, or its path was not in place.

    Attributes:
        reason: Why the probe does not count, for a person.
    """

    reason: str


Outcome = Passed | Failed | Inconclusive
