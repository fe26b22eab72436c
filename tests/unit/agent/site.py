"""A real server with an agent that runs in virtual time, its disk, and its directors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from lvsctl.agent.agent import Agent
from lvsctl.agent.directors import Backoff, Directors
from lvsctl.agent.in_effect import AssignmentsInEffect
from lvsctl.agent.leave_files import LeaveProgress, LeaveRequest
from lvsctl.agent.point_to_point import HostEnds, PointToPoint
from lvsctl.agent.real_server import RealServer
from lvsctl.agent.restored_state import restore_state
from lvsctl.agent.served_host import ServedHost
from lvsctl.agent.state_dir import TUNNEL_ENDS, StateDir, StatusSnapshot
from lvsctl.host.interface import HostChange, HostState, LinkConfig
from lvsctl.host.memory import Hardware, MemoryHost
from lvsctl.messages.model import Registration, Severity
from lvsctl.net import IPAddress
from lvsctl.point_to_point.ends import Ends
from lvsctl.point_to_point.record import EndsFile
from tests.support.fake_director import FakeDirector
from tests.support.hosts import WatchedHost
from tests.support.workers import InlineWorker
from tests.unit.agent.bench import RIP, START, TUNL0, VIPS, conf, vip_key

BOOT = "boot 1"


class Site:
    """A real server with its disk, and the directors that it knows."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemoryHost([Hardware("eth0")])
        self.memory.apply([HostChange(TUNL0, LinkConfig("ipip", up=False))])
        self.as_found = self.dump()
        self.folder = folder
        self.boot = BOOT
        self.directors = [FakeDirector(vips=VIPS[:2])]
        self.changes: list[HostChange] = []
        self.answering: set[IPAddress] = set()
        self.worker = InlineWorker("test")

    @property
    def director(self) -> FakeDirector:
        return self.directors[0]

    @property
    def state(self) -> StateDir:
        return StateDir(self.folder)

    @property
    def served(self) -> list[str]:
        return [str(key.address.ip) for key in self.memory.addresses()]

    @property
    def findings(self) -> list[tuple[Severity, str]]:
        known = self.status
        return [(finding.severity, finding.subject) for finding in known.report.findings]

    @property
    def status(self) -> StatusSnapshot:
        known = self.state.load_status()
        assert known is not None
        return known

    def dump(self) -> HostState:
        names = ("all", "default", *self.memory.links())
        parameters = ("arp_announce", "arp_ignore", "rp_filter")
        return self.memory.observe(
            [
                TUNL0,
                *map(vip_key, VIPS),
                *(conf(name, parameter) for name in names for parameter in parameters),
            ]
        )

    async def echo(self, peer: IPAddress, link: str, timeout_s: float) -> float | None:
        """Answer for the other end of a tunnel while it is there."""
        if peer in self.answering and link in self.memory.links():
            return 0.0005
        await asyncio.sleep(timeout_s)
        return None

    def reboots(self) -> None:
        """Lose everything that is not on the disk."""
        self.memory = MemoryHost([Hardware("eth0")])
        self.memory.apply([HostChange(TUNL0, LinkConfig("ipip", up=False))])
        self.boot = "boot 2"

    def agent(self) -> Agent:
        """Put an agent together from what is on the disk."""
        state = self.state
        recalled = restore_state(state, self.boot)
        start_s = asyncio.get_running_loop().time()

        def now() -> datetime:
            return START + timedelta(seconds=asyncio.get_running_loop().time() - start_s)

        host = WatchedHost(self.memory, self.changes.append)
        server = RealServer(
            host, recalled.record, state.save_record, name="rs2", address=RIP, now=now
        )
        file = EndsFile(state.path / TUNNEL_ENDS, self.boot)
        ends = HostEnds(Ends(host, recalled.ends, file.save), name="rs2", lost=recalled.ends_lost)
        backoff = Backoff(1.0, 10.0, Random(1))  # noqa: S311 - jitter
        return Agent(
            name="rs2",
            registration=Registration(RIP, ("web",)),
            directors=Directors(self.directors, backoff),
            host=ServedHost(server, ends, PointToPoint(self.echo, now), self.worker),
            in_effect=AssignmentsInEffect("rs2", state, recalled),
            state=state,
            now=now,
        )

    @asynccontextmanager
    async def running(self, for_s: float = 1.0) -> AsyncIterator[Agent]:
        """Run an agent for a while, then the block, then end it as SIGTERM does."""
        agent = self.agent()
        task = asyncio.ensure_future(agent.run())
        try:
            await asyncio.wait([task], timeout=for_s)
            if task.done():
                await task
            yield agent
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            await task

    async def leaves(self, *, deadline_s: float = 30, force: bool = False) -> LeaveProgress:
        """Ask a running agent to leave and wait for its answer."""
        self.state.leave.save_request(LeaveRequest("request", deadline_s, force))
        async with asyncio.timeout(120):
            while True:
                progress = self.state.leave.progress()
                if progress is not None and progress.left is not None:
                    return progress
                await asyncio.sleep(0.2)


def text(*vips: object) -> list[str]:
    return [str(vip) for vip in vips]
