"""What every IPVS backend does."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from lvsctl.ipvs.table import IpvsTable, Operation, ServiceCounters, ServiceKey, Timeouts
from lvsctl.results import Result


class IpvsReader(Protocol):
    """Reads the IPVS table of one network namespace.

    An instance belongs to the thread that made it. A read that cannot be carried out at all raises
    :class:`lvsctl.errors.KernelError`; it is never an empty answer.
    """

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        """Return the virtual services that stand now; only those of ``keys`` where given.

        A key that does not stand is absent from the answer. Iteration order of the services is
        that of :attr:`ServiceKey.sort_key`, of the destinations by their own ``sort_key``.
        """
        ...

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return the counters of the same services; they lag up to 2 s behind the traffic."""
        ...

    def counted_snapshot(self) -> tuple[IpvsTable, Mapping[ServiceKey, ServiceCounters]]:
        """Return all virtual services and their counters, which takes half of reading each."""
        ...

    def timeouts(self) -> Timeouts:
        """Return the idle times that are in force."""
        ...

    def close(self) -> None:
        """Let go of the kernel; the table stays as it is."""
        ...


class Ipvs(IpvsReader, Protocol):
    """Reads and writes the IPVS table of one network namespace.

    A batch that cannot be carried out at all raises :class:`lvsctl.errors.KernelError`.
    """

    def reader(self) -> IpvsReader:
        """Open another handle to the same table, for the calling thread, which may be any."""
        ...

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations in order and return one result for each, in the same order.

        Services are added as early as earlier operations on the same key allow; everything else
        keeps its order. A refused operation does not stop the others, but where adding a service
        was not confirmed, later operations on the destinations of that service in the same call
        are :class:`~lvsctl.results.Skipped`: the service that stands may be somebody else's.
        """
        ...
