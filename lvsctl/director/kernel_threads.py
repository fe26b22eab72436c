"""The kernel as the event loop uses it: each call runs in the thread that it belongs to."""

from collections.abc import Callable, Collection, Mapping, Sequence

from lvsctl.director.cycles import Cycles
from lvsctl.director.drains.countdown import Connections
from lvsctl.director.explain import Explanation, Flow
from lvsctl.director.reconcile.cycle import TableReading
from lvsctl.director.reconcile.readings import TableReader
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.state import State
from lvsctl.director.write.adoption import Adoption
from lvsctl.health.path import TunnelProbe
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.table import ServiceKey
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reason
from lvsctl.worker import Worker


class KernelThreads:
    """Writes the kernel in one thread, and reads it for people and drains in another.

    Every method raises KernelError if the kernel could not be read.

    Attributes:
        cycles: Runs the reconciler's cycles.

    Args:
        writing: The thread of the reconciler, the only one that writes.
        reconciler: Used in that thread alone.
        reading: The other thread.
        reader: Used in that thread alone.
    """

    def __init__(
        self, writing: Worker, reconciler: Reconciler, reading: Worker, reader: TableReader
    ) -> None:
        self.cycles = Cycles(writing, reconciler)
        self._writing = writing
        self._reconciler = reconciler
        self._reading = reading
        self._reader = reader

    async def responds(self) -> None:
        """Return once all is done that the thread of the reconciler has been asked for so far."""
        await self._writing.responds()

    async def path_problems(
        self, state: State, ways: Sequence[TunnelProbe]
    ) -> Mapping[TunnelProbe, Reason | None]:
        """Observe what probes need that take some ways through the tunnel."""
        return await self._writing.run(self._reconciler.path_problems, state, ways)

    async def adoption(self, state: State, names: Collection[str]) -> Adoption:
        """Return which foreign virtual services the named services of the farm could adopt."""
        return await self._writing.run(self._reconciler.adoption, state, names)

    async def adopt(self, adoption: Adoption, state: State) -> None:
        """Take over virtual services as they are.

        Raises:
            StoreError: It could not be made durable.
        """
        await self._writing.run(self._reconciler.adopt, adoption, state)

    async def table(self) -> TableReading:
        """Read the whole table with its counters."""
        return await self._reading.run(self._reader.table)

    async def explain(
        self, flow: Flow, ways: Mapping[ServiceKey, Mapping[IPAddress, int]]
    ) -> Explanation:
        """Return where a connection goes."""
        return await self._reading.run(self._reader.explain, flow, ways)

    async def connections(
        self, wanted: Callable[[Connection], bool], offset: int, limit: int
    ) -> tuple[Sequence[Connection], int | None]:
        """Return a page of the kernel's connections, and where the next page begins."""
        return await self._reading.run(self._reader.connections, wanted, offset, limit)

    async def active_connections(self, address: IPAddress) -> int:
        """Return the active connections to a real server in all of our services."""
        return await self._reading.run(self._reader.active_connections, address)

    async def open_connections(self, names: Collection[str]) -> Connections:
        """Return what a drain waits for in the named services, by service and real server."""
        return await self._reading.run(self._reader.open_connections, names)
