"""Settings of the network namespace, which every virtual service in it feels.

A cycle compares each target with the farm. While services that lvsctl did not create are there,
what differs is reported rather than written, unless their owners agreed (``--take-sysctls``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lvsctl.farm.model import Farm
from lvsctl.host.interface import HostChange
from lvsctl.ipvs.table import SetTimeouts
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.results import Result

SettingChange = HostChange | SetTimeouts


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not as the farm asks.

    Attributes:
        change: What mends it.
        summary: What it is and should be, for a person.
    """

    change: SettingChange
    summary: str


@dataclass(frozen=True, slots=True)
class Drift:
    """How one target differs from the farm.

    Attributes:
        differences: What can be mended.
        problems: What cannot.
    """

    differences: Sequence[Difference] = ()
    problems: Sequence[Reason] = ()

    @property
    def changes(self) -> Sequence[SettingChange]:
        """What mends the differences, in order."""
        return [each.change for each in self.differences]

    def refused(self, others: Sequence[str]) -> "Drift":
        """Return the same as problems only, for the sake of other services in the namespace."""
        return Drift(
            problems=[
                *self.problems,
                *(
                    reasons.SETTING_SHARED(difference=each.summary, others=others[:3])
                    for each in self.differences
                ),
            ]
        )


class Target(Protocol):
    """One kind of setting; belongs to the reconciler's thread."""

    def observe(self, farm: Farm) -> Drift:
        """Compare what is with what the farm asks.

        Raises:
            KernelError: It could not be read.
        """
        ...

    def apply(self, changes: Sequence[SettingChange]) -> Sequence[Result]:
        """Write changes of an earlier drift, each whatever becomes of the others.

        Returns:
            One result for each change, in order.
        """
        ...
