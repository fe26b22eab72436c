"""Which operations may be sent together.

A batch goes on after a refused message. Were a service's add refused because a foreign service
of that key stands (EEXIST), destinations in the same batch would enter the foreign service. So
they are sent in a later round, after the add was confirmed, and skipped where it was not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from lvsctl.ipvs.table import (
    AddDestination,
    AddService,
    DeleteDestination,
    EditDestination,
    Operation,
    ServiceKey,
    service_of,
)
from lvsctl.ipvs.validation import refusal
from lvsctl.results import Done, Result, Skipped, Unknown

Send = Callable[[Sequence[Operation]], Sequence[Result]]

_NOT_SENT = Unknown("it was not sent")


def rounds(operations: Sequence[Operation]) -> list[list[int]]:
    """Split operations into rounds; return the indexes of each in ascending order.

    Operations keep their order, but for one thing: services are added as early as what came
    before on the same key allows. So a plan of any size needs two rounds, not one per service.
    """
    placed: defaultdict[int, list[int]] = defaultdict(list)
    floor = 0  # of everything but adding services
    last: dict[ServiceKey, int] = {}
    added: dict[ServiceKey, int] = {}
    run: ServiceKey | None = None  # whose operations, other than adding it, follow each other
    for index, operation in enumerate(operations):
        key = service_of(operation)
        if isinstance(operation, AddService):
            chosen = last.get(operation.key, 0)
            last[operation.key] = added[operation.key] = chosen
            run = None
        else:
            # Looked up once for a run, as that is dear: plans have them service by service.
            if key is not None and key is not run:
                floor = max(floor, added.get(key, -1) + 1)
                last[key] = floor
            chosen, run = floor, key
        placed[chosen].append(index)
    return [placed[number] for number in sorted(placed)]


class _Outcome:
    """Results so far, and the services whose adding was not confirmed."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.results: list[Result] = [_NOT_SENT] * len(operations)
        self._unconfirmed: dict[ServiceKey, str] = {}

    def settle_unsent(self, index: int) -> bool:
        """Give an operation that must not be sent its result; return whether it was one."""
        operation = self.operations[index]
        refused = refusal(operation)
        if refused:
            self.record(index, refused)
            return True
        if (
            self._unconfirmed
            and isinstance(operation, AddDestination | EditDestination | DeleteDestination)
            and operation.service in self._unconfirmed
        ):
            self.record(index, Skipped(self._unconfirmed[operation.service]))
            return True
        return False

    def record(self, index: int, result: Result) -> None:
        self.results[index] = result
        operation = self.operations[index]
        if isinstance(operation, AddService):
            if isinstance(result, Done):
                self._unconfirmed.pop(operation.key, None)
            else:
                self._unconfirmed[operation.key] = f"{operation}: {result}"


def apply_in_rounds(operations: Sequence[Operation], send: Send) -> list[Result]:
    """Carry out operations through ``send`` and return one result for each, in the same order.

    Args:
        operations: What is to be done.
        send: Carries out operations that need not know each other's results, in order.
    """
    outcome = _Outcome(operations)
    for indexes in rounds(operations):
        sendable = [index for index in indexes if not outcome.settle_unsent(index)]
        for index, result in zip(sendable, send(_pick(operations, sendable)), strict=True):
            outcome.record(index, result)
    return outcome.results


def _pick(operations: Sequence[Operation], indexes: Iterable[int]) -> list[Operation]:
    return [operations[index] for index in indexes]
