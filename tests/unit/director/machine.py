"""A director on the files of a state folder, over a kernel in memory that outlives it."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lvsctl.director import main
from lvsctl.director.access.shared_token import read_shared_token
from lvsctl.director.access.unix_socket import default_path, unix_listener
from lvsctl.director.daemon import DirectorDaemon
from lvsctl.director.main import DirectorConfig, Kernel, open_daemon
from lvsctl.director.reconcile.cycle import KeyState
from lvsctl.director.self_check import disk_problem
from lvsctl.director.write.edits import PutFarm, PutObject
from lvsctl.farm.checks import Request
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.health.outcome import Outcome, Passed
from lvsctl.health.target import Target
from lvsctl.ipvs.table import FwmarkKey, Operation, ServiceKey, service_of
from lvsctl.store.events import open_history
from lvsctl.store.interface import LocalState
from lvsctl.store.position import Position
from lvsctl.store.recovery import Recovery
from tests.support.director_process import TOKEN
from tests.support.workers import InlineWorker
from tests.unit.director.checked import REFUSED, TOOK_S
from tests.unit.director.farms import OTHER_VIP, pool, rip, web
from tests.unit.director.test_daemon import START
from tests.unit.director.test_drains import drain
from tests.unit.director.test_health_checks import checked
from tests.unit.director.test_reconciler import Bench

API_ID = ObjectId(Kind.SERVICE, "api")
SETTLED_S = 20.0


@dataclass(frozen=True)
class Knowledge:
    """What a director must not lose without a word.

    Attributes:
        position: Of the farm.
        rest: The farm, its status, claims, verdicts and mode.
    """

    position: Position
    rest: tuple[object, ...]

    def holds(self, other: "Knowledge") -> bool:
        """Return whether nothing is lost of what another director knew."""
        return self.position.holds(other.position) and self.rest == other.rest


def knowledge(daemon: DirectorDaemon, local: LocalState) -> Knowledge:
    """Return what a director knows now."""
    state = daemon.state
    rest = (
        state.farm,
        state.status.overrides,
        state.status.agents,
        {key for key in local.claims() if _is_for_clients(key)},
        {probe: kept.healthy for probe, kept in local.verdicts().items()},
        daemon.mode.current,
    )
    return Knowledge(state.position, rest)


def complaints(daemon: DirectorDaemon) -> list[str]:
    """Return what a person is told: the director's own problems, conflicts, foreign services."""
    conflicts = [
        str(view.reason)
        for view in daemon.loop.view.services.values()
        if view.state is KeyState.CONFLICT
    ]
    foreign = [
        f"{key} is not the farm's" for key in daemon.loop.view.foreign if _is_for_clients(key)
    ]
    return [str(each.reason) for each in daemon.problems.values()] + conflicts + foreign


class Machine:
    """A host with a kernel, real servers and the state folder of a director.

    Attributes:
        folder: The state folder.
        bench: The kernel.
        older: A copy of the folder from before the last write.
        known: What the director knew when it was gone.
        local: The local state of the director that runs, or ran last.
    """

    known: Knowledge
    local: LocalState

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.older = folder.with_name("older")
        self.bench = Bench()
        folder.mkdir(0o700, parents=True)
        token = folder / "token"
        token.touch(0o600)
        token.write_text(TOKEN)
        patch.setattr(main, "Worker", InlineWorker)
        patch.setattr(main, "utc_now", _now)
        patch.setattr(main, "open_ipvs", lambda _: self.bench.ipvs)
        patch.setattr(main, "MemoryHost", lambda **_: self.bench.host)
        patch.setattr(main, "NoNeighbours", lambda: self.bench.neighbours)
        patch.setattr(asyncio, "to_thread", InlineWorker("disk").run)

    @property
    def serves(self) -> object:
        """What the kernel does with clients' packets, and what the host has for it."""
        host, table = vars(self.bench.host), self.bench.ipvs.snapshot()
        return {
            "table": {key: each for key, each in table.items() if _is_for_clients(key)},
            "timeouts": self.bench.ipvs.timeouts(),
            "addresses": dict(host["_addresses"]),
            "links": dict(host["_links"]),
            "rules": dict(host["_rules"]),
            "routes": dict(host["_routes"]),
            "sysctls": dict(vars(host["_sysctls"])),
        }

    @property
    def written(self) -> Sequence[Operation]:
        """What was written to the table for clients; probes have services of their own."""
        return [each for each in self.bench.ipvs.told if _is_for_clients(service_of(each))]

    @contextlib.asynccontextmanager
    async def director(self, recovery: Recovery | None = None) -> AsyncIterator[DirectorDaemon]:
        """Start a director as its process does, let it run, and stop it.

        Args:
            recovery: What a person decided about a store that is not followed.

        Raises:
            LvsctlError: It does not start.
        """
        config = DirectorConfig(ipvs="memory", state_dir=self.folder)
        read_shared_token(self.folder / "token", datetime(2100, 1, 1, tzinfo=UTC))

        def opened_kernel() -> Kernel:
            kernel = main._open_kernel(config)
            self.local = kernel.local
            return kernel

        opening = open_daemon(
            "lb1",
            lambda: main._open_store(config),
            opened_kernel,
            probe=self._probe,
            open_events=lambda: open_history(self.folder / "events.db", _now),
            disk_problem=lambda: disk_problem(self.folder),
            recovery=recovery,
            now=_now,
            monotonic=_seconds,
        )
        async with opening as daemon:
            with unix_listener(default_path(self.folder)):
                running = asyncio.create_task(daemon.run())
                try:
                    await asyncio.sleep(0)
                    yield daemon
                    assert not running.done()
                finally:
                    running.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await running

    async def _probe(self, _: Request, target: Target, __: float) -> Outcome:
        """Ask the server to which the kernel sends a probe; without one the director answers."""
        await asyncio.sleep(TOOK_S)
        table = self.bench.ipvs.snapshot()
        servers = [
            server.address
            for key, service in table.items()
            if isinstance(key, FwmarkKey) and key.mark == target.mark
            for server in service.destinations
        ]
        return Passed(TOOK_S) if servers and servers != [rip(2)] else REFUSED

    async def set_up(self, daemon: DirectorDaemon) -> None:
        """Have a farm with a server that is drained, one that is dead, and a late service."""
        farm = Farm({"web": web()}, {"web": checked(1, 2, 3), "api": pool(4, 5, name="api")})
        await daemon.writer.write(PutFarm(farm), by="ada")
        await daemon.writer.write(drain(), by="ada")
        await asyncio.sleep(SETTLED_S)
        copy(self.folder, self.older)
        api = web(OTHER_VIP, name="api", pool="api")
        await daemon.writer.write(PutObject(API_ID, api), by="ada")
        await asyncio.sleep(SETTLED_S)


async def serving(folder: Path, patch: pytest.MonkeyPatch, *, killed: bool = False) -> Machine:
    """Return a machine whose director has set up a farm and is gone.

    Args:
        folder: Of the director; must not exist.
        patch: Puts the machine in place of this host.
        killed: The files are as SIGKILL leaves them, the journals full.
    """
    machine = Machine(folder, patch)
    left = folder.with_name("left")
    async with machine.director() as daemon:
        await machine.set_up(daemon)
        if killed:
            copy(folder, left)
        machine.known = knowledge(daemon, machine.local)
    if killed:
        shutil.rmtree(folder)
        shutil.move(left, folder)
    machine.bench.ipvs.told.clear()
    return machine


def _is_for_clients(key: ServiceKey) -> bool:
    return not isinstance(key, FwmarkKey)


def copy(folder: Path, to: Path) -> None:
    """Copy the files of a director that runs."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.sock"))


def _now() -> datetime:
    return START + timedelta(seconds=_seconds())


def _seconds() -> float:
    return asyncio.get_running_loop().time()
