"""Splits operations into batches.

The kernel carries on with a batch after it refused one of its messages. If it refused to add a
service because a foreign one with the same key exists (EEXIST), destinations in the same batch
would be added to the foreign service. So they are sent in a later batch, once the service's add
was confirmed, and skipped if it was not.
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
from lvsctl.ipvs.validation import validate
from lvsctl.results import Done, Result, Skipped, Unknown

Send = Callable[[Sequence[Operation]], Sequence[Result]]

_NOT_SENT = Unknown("not sent")


def batches(operations: Sequence[Operation]) -> list[list[int]]:
    """Split operations into batches; return the indexes of each in ascending order.

    Operations keep their order, with one exception: services are added as early as preceding
    operations on the same key allow. So a plan of any size needs two batches, not one per service.
    """
    placed: defaultdict[int, list[int]] = defaultdict(list)
    floor = 0  # earliest batch for anything but adding a service
    last: dict[ServiceKey, int] = {}
    added: dict[ServiceKey, int] = {}
    run: ServiceKey | None = None  # service of the current run of other operations
    for index, operation in enumerate(operations):
        key = service_of(operation)
        if isinstance(operation, AddService):
            chosen = last.get(operation.key, 0)
            last[operation.key] = added[operation.key] = chosen
            run = None
        else:
            # Hashing keys is expensive, and plans are ordered by service: look up once per run.
            if key is not None and key is not run:
                floor = max(floor, added.get(key, -1) + 1)
                last[key] = floor
            chosen, run = floor, key
        placed[chosen].append(index)
    return [placed[number] for number in sorted(placed)]


class _Outcome:
    """Results so far, and the services whose add was not confirmed."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.results: list[Result] = [_NOT_SENT] * len(operations)
        self._unconfirmed: dict[ServiceKey, str] = {}

    def must_send(self, index: int) -> bool:
        """Tell whether to send an operation; if not, record its result."""
        operation = self.operations[index]
        invalid = validate(operation)
        if invalid:
            self.record(index, invalid)
            return False
        if (
            self._unconfirmed
            and isinstance(operation, AddDestination | EditDestination | DeleteDestination)
            and operation.service in self._unconfirmed
        ):
            self.record(index, Skipped(self._unconfirmed[operation.service]))
            return False
        return True

    def record(self, index: int, result: Result) -> None:
        self.results[index] = result
        operation = self.operations[index]
        if isinstance(operation, AddService):
            if isinstance(result, Done):
                self._unconfirmed.pop(operation.key, None)
            else:
                self._unconfirmed[operation.key] = f"{operation}: {result}"


def apply_in_batches(operations: Sequence[Operation], send: Send) -> list[Result]:
    """Carry out operations through ``send`` and return one result for each, in the same order.

    Args:
        operations: The operations.
        send: Carries out a batch in order and returns one result for each operation.
    """
    outcome = _Outcome(operations)
    for indexes in batches(operations):
        sendable = [index for index in indexes if outcome.must_send(index)]
        for index, result in zip(sendable, send(_pick(operations, sendable)), strict=True):
            outcome.record(index, result)
    return outcome.results


def _pick(operations: Sequence[Operation], indexes: Iterable[int]) -> list[Operation]:
    return [operations[index] for index in indexes]
