"""What became of one operation on a kernel."""

import errno
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """The kernel confirmed it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The kernel refused it.

    Attributes:
        errno: The kernel's error number, positive.
        message: The kernel's own words, where it has some; else those of errno(3).
    """

    errno: int
    message: str = ""

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        return f"{self.message or os.strerror(self.errno)} [{name}]"


@dataclass(frozen=True, slots=True)
class Skipped:
    """It was not tried, because an operation that it builds on failed.

    Attributes:
        because: The operation that failed, for a person.
    """

    because: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and whether it took effect is not known: observe again.

    Attributes:
        because: Why it is not known.
    """

    because: str


Result = Done | Failed | Skipped | Unknown
