"""Result of one kernel operation."""

import errno
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """The kernel acknowledged it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The kernel refused it.

    Attributes:
        errno: The kernel's error number, positive.
        message: The kernel's extended error message; empty for that of errno(3).
    """

    errno: int
    message: str = ""

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        return f"{self.message or os.strerror(self.errno)} [{name}]"


@dataclass(frozen=True, slots=True)
class Skipped:
    """It was not tried, because an operation that it depends on failed.

    Attributes:
        because: The operation that failed, for a person.
    """

    because: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, but its effect is unknown: observe again.

    Attributes:
        because: Why it is unknown.
    """

    because: str


Result = Done | Failed | Skipped | Unknown
