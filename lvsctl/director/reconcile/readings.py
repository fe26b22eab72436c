"""What people and drains read from the kernel's table, on a thread of its own."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lvsctl.director.drains.countdown import Connections, open_connections
from lvsctl.director.explain import Explanation, Flow, ServiceView, explain
from lvsctl.director.reconcile.cycle import TableReading
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.interface import IpvsReader
from lvsctl.ipvs.table import ServiceCounters, ServiceKey, Traffic
from lvsctl.net import IPAddress


@dataclass(frozen=True, slots=True)
class Claims:
    """Which virtual services are ours.

    Attributes:
        services: The farm's service for each of our keys.
        probes: Our keys for health checks.
    """

    services: Mapping[ServiceKey, str] = field(default_factory=dict)
    probes: frozenset[ServiceKey] = frozenset()


class TableReader:
    """Reads the table; belongs to the thread that opened ``ipvs``, which writes nothing.

    Reading a large table takes seconds. Here it holds up neither a write nor a cycle.

    Args:
        ipvs: A handle of its own.
        claims: Returns what is ours at this moment, as a frozen value; called from this thread.
    """

    def __init__(self, ipvs: IpvsReader, claims: Callable[[], Claims]) -> None:
        self._ipvs = ipvs
        self._claims = claims

    def table(self) -> TableReading:
        """Read the whole table with its counters.

        Raises:
            KernelError: It could not be read.
        """
        before = self._claims()
        observed, counters = self._ipvs.counted_snapshot()
        after = self._claims()
        # What was ours at either moment may have been read.
        probes = before.probes | after.probes
        return TableReading(
            {key: service for key, service in observed.items() if key not in probes},
            counters,
            self._ipvs.timeouts(),
            {**before.services, **after.services},
            {key: service for key, service in observed.items() if key in probes},
        )

    def explain(
        self,
        flow: Flow,
        ways: Mapping[ServiceKey, Mapping[IPAddress, int]],
    ) -> Explanation:
        """Return where a connection goes.

        Args:
            flow: The connection.
            ways: Keys of the virtual services that may take it, the first one there does; with
                what each real server has when it serves.

        Raises:
            KernelError: The kernel could not be read.
        """
        table = self._ipvs.snapshot(ways.keys())
        key = next((key for key in ways if key in table), None)
        view = None
        if key is not None:
            counters = self._ipvs.counters([key]).get(key, ServiceCounters(Traffic(), {}))
            order = self._ipvs.scheduling_order(key)
            view = ServiceView(key, table[key], order, counters, ways[key])
        return explain(flow, view, self._ipvs.connection_entries())

    def connections(
        self, wanted: Callable[[Connection], bool], offset: int, limit: int
    ) -> tuple[Sequence[Connection], int | None]:
        """Return a page of the kernel's connections, and where the next page begins.

        Args:
            wanted: Which ones.
            offset: How many entries of the kernel's table to pass over.
            limit: How many to return at most.

        Raises:
            KernelError: The kernel could not be read.
        """
        found: list[Connection] = []
        for place, each in enumerate(self._ipvs.connection_entries()):
            if place < offset or not wanted(each):
                continue
            if len(found) == limit:
                return found, place
            found.append(each)
        return found, None

    def active_connections(self, address: IPAddress) -> int:
        """Return the active connections to a real server in all of our services."""
        return sum(
            destination.active_connections
            for service in self._ipvs.counters(self._claims().services.keys()).values()
            for key, destination in service.destinations.items()
            if key.address == address
        )

    def open_connections(self, names: Collection[str]) -> Connections:
        """Return what a drain waits for in the named services, by service and real server."""
        claims = self._claims().services
        keys = [key for key, name in claims.items() if name in names]
        found: Counter[tuple[str, IPAddress]] = Counter()
        for key, service in self._ipvs.counters(keys).items():
            for destination, counters in service.destinations.items():
                found[claims[key], destination.address] += open_connections(key, counters)
        return found
