"""The interface of the IPVS backends."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.table import (
    DestinationKey,
    IpvsTable,
    Operation,
    ServiceCounters,
    ServiceKey,
    Timeouts,
    VirtualService,
)
from lvsctl.results import Result


class IpvsReader(Protocol):
    """Reads the IPVS table of one network namespace.

    An instance belongs to the thread that created it. A read that fails as a whole raises
    :class:`lvsctl.errors.KernelError`; it never returns an empty answer.
    """

    def snapshot(self, keys: Collection[ServiceKey] | None = None) -> IpvsTable:
        """Return the kernel's virtual services, only those of ``keys`` if given.

        Keys that do not exist are left out. Services and destinations are each ordered by their
        ``sort_key``.
        """
        ...

    def counters(
        self, keys: Collection[ServiceKey] | None = None
    ) -> Mapping[ServiceKey, ServiceCounters]:
        """Return the counters of the same services; rates lag up to 2 s behind the traffic."""
        ...

    def counted_snapshot(self) -> tuple[IpvsTable, Mapping[ServiceKey, ServiceCounters]]:
        """Return all virtual services and their counters, in half the time of two reads."""
        ...

    def timeouts(self) -> Timeouts:
        """Return the connections' idle timeouts."""
        ...

    def scheduling_order(self, key: ServiceKey) -> Sequence[DestinationKey]:
        """Return a service's destinations in the kernel's own order, the newest first.

        Hashing schedulers depend on it. Empty if the service does not exist.
        """
        ...

    def connection_entries(self) -> Iterator[Connection]:
        """Yield all connections as they are read; there may be millions."""
        ...

    def close(self) -> None:
        """Close sockets; the table stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """A walk over the whole table.

    Attributes:
        keys: Every virtual service that existed when it began.
        services: Reads each of them when it is asked for it. One that is as the last sweep found it
            is the very same value. One that is gone meanwhile may be left out, or be there without
            destinations.
    """

    keys: Mapping[ServiceKey, object]
    services: Iterator[tuple[ServiceKey, VirtualService]]


class Ipvs(IpvsReader, Protocol):
    """Reads and writes the IPVS table of one network namespace.

    A batch that fails as a whole raises :class:`lvsctl.errors.KernelError`.
    """

    def reader(self) -> IpvsReader:
        """Open another handle to the same table, for the calling thread."""
        ...

    def sweep(self) -> Sweep:
        """List all virtual services, to read them one at a time.

        Between two of them this handle may be used for anything else.
        """
        ...

    def apply(self, operations: Sequence[Operation]) -> Sequence[Result]:
        """Carry out operations in order and return one result for each, in the same order.

        Services are added as early as preceding operations on the same key allow; everything else
        keeps its order. A refused operation does not stop the others. If the add of a service was
        not confirmed, later operations on its destinations in the same call are
        :class:`~lvsctl.results.Skipped`, as the service that exists may be a foreign one.
        """
        ...
