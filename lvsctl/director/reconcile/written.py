"""What a cycle has written so far; each phase adds to it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from lvsctl.director.reconcile.settings import SettingChange
from lvsctl.ipvs.table import AddService, DeleteService, Operation, ServiceKey
from lvsctl.reasons.reason import Reason
from lvsctl.results import Done, Result

Results = Sequence[tuple[Operation, Result]]
"""What became of the operations that were tried, in their order."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the phases so far have written.

    Attributes:
        problems: What was refused outside the table.
        settings: What became of each setting.
        table: What became of the operations on the table.
        untried: Operations on the table that must wait.
    """

    problems: Sequence[Reason] = ()
    settings: Sequence[tuple[SettingChange, Result]] = ()
    table: Results = ()
    untried: Sequence[Operation] = ()

    def done(self, kind: type[AddService | DeleteService]) -> frozenset[ServiceKey]:
        """Return the keys of services that operations of a kind were done for."""
        return frozenset(
            operation.key
            for operation, result in self.table
            if isinstance(operation, kind) and isinstance(result, Done)
        )
