"""The host as the event loop sees it: its calls run in the thread of host and disk."""

from collections.abc import Collection, Sequence

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.faults import Fault
from lvsctl.agent.point_to_point import HostEnds, PointToPoint
from lvsctl.agent.real_server import HostStatus, RealServer
from lvsctl.net import IPAddress
from lvsctl.worker import Worker


class ServedHost:
    """A real server's host with its tunnel ends.

    Args:
        server: VIPs, devices and sysctls, used in the worker's thread only.
        ends: The point-to-point tunnel ends, used in that thread as well.
        tunnels: The state of those tunnels, on the event loop.
        worker: The thread of host and disk.
    """

    def __init__(
        self, server: RealServer, ends: HostEnds, tunnels: PointToPoint, worker: Worker
    ) -> None:
        self.tunnels = tunnels
        self.worker = worker
        self._server = server
        self._ends = ends

    async def check(
        self,
        assignments: Assignments,
        faults: Sequence[Fault],
        directors: Collection[IPAddress],
    ) -> HostStatus:
        """Reconcile the host with the assignments.

        Args:
            assignments: What it has to serve.
            faults: Reported with what the check finds.
            directors: Addresses whose traffic no tunnel may capture.
        """
        status = await self.worker.run(self._server.check, assignments, faults, directors)
        self.tunnels.update(await self.worker.run(self._ends.check, assignments, directors))
        return status

    async def undo(self) -> Sequence[Fault]:
        """Restore the host as lvsctl found it; return what could not be restored.

        Raises:
            KernelError: The host cannot be observed.
        """
        return await self.worker.run(self._undo)

    def _undo(self) -> Sequence[Fault]:
        return (*self._ends.undo(), *self._server.undo())
