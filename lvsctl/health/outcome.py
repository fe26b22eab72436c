"""How a probe ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passed:
    """The server answered as it should, after ``took_s``."""

    took_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The server did not answer as it should.

    Attributes:
        reason: What was wrong, for a person: "192.0.2.11:80 refused the connection".
        took_s: From the probe's start until that was known.
        silent: Not one packet came back.
        meaning: What else is known of why, for a person; may be empty.
    """

    reason: str
    took_s: float
    silent: bool = False
    meaning: str = ""

    @property
    def why(self) -> str:
        """The reason with its meaning."""
        return f"{self.reason}; {self.meaning}" if self.meaning else self.reason


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The probe says nothing about the server: the director's own fault, or its path was not there.

    Attributes:
        reason: What kept the probe from counting, for a person.
    """

    reason: str


Outcome = Passed | Failed | Inconclusive
