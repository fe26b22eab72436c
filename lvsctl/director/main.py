"""Puts the director together and runs it; the only module that imports ``api``."""

import asyncio
import contextlib
import os
import pwd
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from lvsctl.director.access.shared_token import SharedToken, read_shared_token
from lvsctl.director.access.tcp_listener import tcp_listener
from lvsctl.director.access.tls import ServerTls, server_tls
from lvsctl.director.access.unix_socket import default_path, unix_listener
from lvsctl.director.clock import Clock
from lvsctl.director.daemon import DirectorDaemon, Probing, StoreThread
from lvsctl.director.descriptors import raise_descriptor_limit, reserved_descriptors
from lvsctl.director.events.events import Events
from lvsctl.director.interpreter import favour_the_event_loop
from lvsctl.director.kernel_lock import kernel_lock
from lvsctl.director.kernel_threads import KernelThreads
from lvsctl.director.own_state import KeptState, OwnState
from lvsctl.director.path_mtus import path_mtus_learnt
from lvsctl.director.problems import Component, Problems
from lvsctl.director.reconcile.probe_services import ProbeServices
from lvsctl.director.reconcile.readings import TableReader
from lvsctl.director.reconcile.reconciler import Reconciler
from lvsctl.director.self_check import SelfCheck, disk_problem
from lvsctl.director.vips.neighbours import LinkNeighbours, Neighbours, NoNeighbours
from lvsctl.director.vips.placements import open_placements
from lvsctl.director.write.committer import Committer
from lvsctl.errors import ConfigurationError, StoreError, StoreInUse
from lvsctl.events import Event, EventKind
from lvsctl.farm.rules.farm import SYSCTL_RANGES
from lvsctl.health.prober import Probe
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.programs.client import OwnPrograms, Programs, SystemdPrograms
from lvsctl.host.boot import boot_id
from lvsctl.host.interface import Host, SysctlKey
from lvsctl.host.linux import LinuxHost
from lvsctl.host.memory import MemoryHost
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.interface import Ipvs
from lvsctl.logs import configure_logging
from lvsctl.net import IPAddress
from lvsctl.reasons import director as reasons
from lvsctl.reasons.errors import STORE_NOT_CONTINUED
from lvsctl.reasons.reason import Reason
from lvsctl.sd_notify import notify_ready
from lvsctl.store.commits import Retention
from lvsctl.store.events import MemoryEventLog, OpenedHistory, open_history
from lvsctl.store.factory import IN_A_FILE, StoreLocation, open_store
from lvsctl.store.guarded import GuardedStore
from lvsctl.store.interface import LocalState, Mode, ModeName, Store
from lvsctl.store.local import SqliteLocalState
from lvsctl.store.memory import MemoryLocalState
from lvsctl.store.recovery import Recovery
from lvsctl.worker import Worker

log = structlog.get_logger(__name__)

IPVS_SYSCTLS = {SysctlKey(("net", "ipv4", "vs", name)): "0" for name in SYSCTL_RANGES}
"""What a host in memory has below net.ipv4.vs."""


@dataclass(frozen=True, slots=True)
class DirectorConfig:
    """What the command line says.

    Attributes:
        listen_host: Address of the REST API.
        listen_port: Its port.
        state_dir: Where the farm and this director's own state are kept.
        ipvs: Which backend: auto, netlink, ipvsadm or memory.
        host_names: Under which the REST API is reached, beside this host's names and addresses.
        token_file: Holds one token for everybody.
        shared_token_until: When it is no longer accepted, in UTC; None does not accept it.
        certificate: Of the REST API over TCP; None for plain HTTP.
        key: Its private key.
        socket: The UNIX socket, by which root needs no token; None for the usual place.
        observe: Look and plan, write nothing.
        take_sysctls: Write IPVS parameters even where foreign services feel them.
        name: Of this director.
        exec_dir: Where the programs of health checks are; None runs none.
        exec_socket: Of the service that runs them instead.
        restore_farm: Names a store into which to put the farm that was applied last.
        accept_new_farm: Names a store to follow although it does not follow what was applied.
        history_age_s: How old the farm's history gets, in s.
        history_commits: How many commits it has at most.
        store: Where the farm is kept.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    state_dir: Path = Path("/var/lib/lvsctl")
    ipvs: str = "auto"
    host_names: tuple[str, ...] = ()
    token_file: Path | None = None
    shared_token_until: datetime | None = None
    certificate: Path | None = None
    key: Path | None = None
    socket: Path | None = None
    observe: bool = False
    take_sysctls: bool = False
    name: str = ""
    exec_dir: Path | None = None
    exec_socket: Path | None = None
    restore_farm: str | None = None
    accept_new_farm: str | None = None
    history_age_s: int = 90 * 86400
    history_commits: int = 10_000
    store: StoreLocation = IN_A_FILE


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel's thread uses.

    Attributes:
        ipvs: The virtual services.
        host: Addresses and parameters.
        neighbours: Who answers for a VIP.
        local: This director's own state.
        local_problem: Why it is one in memory; empty where it is the one on the disk.
    """

    ipvs: Ipvs
    host: Host
    neighbours: Neighbours
    local: LocalState
    local_problem: str = ""


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def run(config: DirectorConfig) -> int:
    """Run the director until SIGTERM or SIGINT, which leave the kernel as it is.

    Raises:
        ConfigurationError: The listening address or the shared token does not do.
        KernelLacks: The kernel has no IPVS.
        StoreError: The state folder cannot be used.
    """
    configure_logging()
    shared = read_shared_token(config.token_file, config.shared_token_until)
    tls = server_tls(config.certificate, config.key)
    with contextlib.ExitStack() as stack:
        if config.ipvs != "memory":  # a table in memory is this process's own and sends no packets
            stack.enter_context(kernel_lock())
            stack.enter_context(path_mtus_learnt())
        listener = stack.enter_context(tcp_listener(config.listen_host, config.listen_port))
        return asyncio.run(_serve(config, shared, tls, listener))


@contextlib.asynccontextmanager
async def open_daemon(
    name: str,
    open_store: Callable[[], Store],
    open_kernel: Callable[[], Kernel],
    *,
    probe: Probe,
    open_events: Callable[[], OpenedHistory] = lambda: OpenedHistory(MemoryEventLog()),
    disk_problem: Callable[[], Reason | None] = lambda: None,
    now: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    recovery: Recovery | None = None,
    take_sysctls: bool = False,
    mode: Mode | None = None,
) -> AsyncIterator[DirectorDaemon]:
    """Open what a director stands on, each in the thread that will use it.

    Args:
        name: Of the director.
        open_store: Opens the shared store.
        open_kernel: Opens the kernel and this director's own state.
        probe: Asks a real server once.
        open_events: Opens the history of events.
        disk_problem: Says why the state folder's disk is not enough; empty where it is.
        now: The time of day.
        monotonic: Seconds on a clock that only runs forward.
        recovery: What a person decided about a store that is not followed.
        take_sysctls: Write IPVS parameters even where foreign services feel them.
        mode: For this run, instead of the one that was kept.
    """
    async with contextlib.AsyncExitStack() as stack:
        store_worker, kernel_worker, reading_worker = map(Worker, ("store", "kernel", "reading"))
        for worker in (store_worker, kernel_worker, reading_worker):
            stack.callback(worker.close)
        found, unusable = await store_worker.run(_opened, open_store)
        if found:
            stack.push_async_callback(store_worker.run, found.close)
        history = await store_worker.run(open_events)
        stack.push_async_callback(store_worker.run, history.log.close)
        clock = Clock(now, monotonic)
        events = Events(history.recorded, history.log, store_worker, clock.now)
        stack.push_async_callback(events.flush)
        problems = Problems(events.emit)
        if history.lost:
            events.emit(Event(EventKind.HISTORY_LOST, detail=history.lost))
            lost = reasons.EVENTS_LOST(error=history.lost)
            problems.report(Component.EVENTS, lost, hinders=not history.durable, lasts=True)
        kernel = await kernel_worker.run(open_kernel)
        for edge in (kernel.ipvs, kernel.host, kernel.local):
            stack.push_async_callback(kernel_worker.run, edge.close)
        reader = await reading_worker.run(kernel.ipvs.reader)
        stack.push_async_callback(reading_worker.run, reader.close)
        applied = await kernel_worker.run(kernel.local.remembered)
        store = await store_worker.run(GuardedStore, found, unusable, applied, recovery)
        commits = await store_worker.run(Committer, store)
        if store.begun:
            events.emit(Event(EventKind.NEW_EPOCH, detail=store.begun))
        if kernel.local_problem:
            unusable_state = reasons.LOCAL_STATE_LOST(error=kernel.local_problem)
            problems.report(Component.LOCAL_STATE, unusable_state, lasts=True)
        event_loop = asyncio.get_running_loop()

        def on_vips_changed(vips: Collection[IPAddress]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                event_loop.call_soon_threadsafe(lambda: daemon.wake_for_vips(vips))

        vips = await kernel_worker.run(
            open_placements,
            kernel.host,
            kernel.neighbours,
            kernel.local,
            on_vips_changed,
            monotonic,
        )
        probes = await kernel_worker.run(ProbeServices, kernel.ipvs, kernel.host, kernel.local, now)
        reconciler = await kernel_worker.run(
            Reconciler,
            kernel.ipvs,
            kernel.host,
            vips,
            probes,
            kernel.local,
            take_sysctls=take_sysctls,
        )
        writes = {Component.STORE: partial(store_worker.run, store.check_writable)}
        if not kernel.local_problem:
            writes[Component.LOCAL_STATE] = partial(kernel_worker.run, kernel.local.check_writable)
        kept_mode = await kernel_worker.run(kernel.local.mode)
        kept = KeptState(
            mode or kept_mode,
            await kernel_worker.run(kernel.local.verdicts),
            kernel.local_problem or (store.refusal if store.is_blind else ""),
        )
        daemon = DirectorDaemon(
            name=name,
            clock=clock,
            store=StoreThread(store_worker, commits),
            kernel=KernelThreads(
                kernel_worker,
                reconciler,
                reading_worker,
                TableReader(reader, lambda: reconciler.claims),
            ),
            own_state=OwnState(kernel.local, kernel_worker, kept, problems),
            probing=Probing(probe, random.random),
            self_check=SelfCheck(
                problems,
                events,
                partial(asyncio.to_thread, disk_problem),  # a disk may hang
                lambda: STORE_NOT_CONTINUED(error=store.refusal) if store.refusal else None,
                writes,
            ),
        )
        stack.push_async_callback(daemon.close)
        await daemon.self_check.check()
        yield daemon


def _opened(open_store: Callable[[], Store]) -> tuple[Store | None, str]:
    """Return the store, or why it cannot be opened."""
    try:
        return open_store(), ""
    except StoreInUse:
        raise
    except StoreError as error:
        return None, str(error)


async def _serve(
    config: DirectorConfig, shared: SharedToken, tls: ServerTls | None, listener: socket.socket
) -> int:
    descriptors = raise_descriptor_limit()
    # The web framework takes a second to load, so only the daemon does.
    from api.app import create_app  # noqa: PLC0415
    from api.server.limits import budget  # noqa: PLC0415
    from api.server.server import Server  # noqa: PLC0415

    observing = Mode(ModeName.OBSERVE, "started with --observe") if config.observe else None
    async with contextlib.AsyncExitStack() as stack:
        programs = stack.enter_context(_programs(config))
        opening = open_daemon(
            config.name or socket.gethostname(),
            lambda: _open_store(config),
            lambda: _open_kernel(config),
            probe=Probes(programs).probe,
            open_events=lambda: open_history(config.state_dir / "events.db", utc_now),
            disk_problem=lambda: disk_problem(config.state_dir),
            recovery=_recovery(config),
            take_sysctls=config.take_sysctls,
            mode=observing,
        )
        daemon = await stack.enter_async_context(opening)
        # In the state folder, which the store has made and holds for this process alone.
        path = config.socket or default_path(config.state_dir)
        local = stack.enter_context(unix_listener(path))
        if shared.until:
            daemon.credentials.accept_shared(shared.token, shared.until)
        if shared.problem:
            denied = reasons.ACCESS_UNSAFE(error=shared.problem)
            daemon.self_check.problems.report(Component.ACCESS, denied, hinders=False, lasts=True)
        app = create_app(daemon, (socket.gethostname(), config.listen_host, *config.host_names))
        favour_the_event_loop()
        server = Server(
            app,
            budget(descriptors - reserved_descriptors(descriptors)),
            notify_ready,
            (lambda: tls.context) if tls else None,
        )

        def stop() -> None:
            server.should_exit = True
            daemon.events.end()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        reload = tls.reload if tls else partial(log.info, "nothing to reload")
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        reconciling = asyncio.create_task(daemon.run())
        reconciling.add_done_callback(lambda _: stop())
        log.info(
            "director runs",
            name=daemon.name,
            listen=listener.getsockname()[:2],
            socket=local and str(path),
        )
        await server.serve(sockets=[listener, local] if local else [listener])
        reconciling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reconciling
    return 0


def _open_store(config: DirectorConfig) -> Store:
    retention = Retention(timedelta(seconds=config.history_age_s), config.history_commits)
    return open_store(config.store, config.state_dir, utc_now, retention)


def _open_kernel(config: DirectorConfig) -> Kernel:
    local, problem = _open_local_state(config.state_dir / "local.db")
    ipvs = open_ipvs(config.ipvs)
    if config.ipvs == "memory":
        return Kernel(ipvs, MemoryHost(sysctls=IPVS_SYSCTLS), NoNeighbours(), local, problem)
    return Kernel(ipvs, LinuxHost(), LinkNeighbours(), local, problem)


def _open_local_state(path: Path) -> tuple[LocalState, str]:
    """Return the local state; one in memory, and why, where that on the disk cannot be used."""
    try:
        return SqliteLocalState(path, boot_id()), ""
    except StoreInUse:
        raise
    except StoreError as error:
        observes = "The director only observes, as it does not know which services are its own."
        return MemoryLocalState(), f"{error} {observes}"


def _recovery(config: DirectorConfig) -> Recovery | None:
    if config.restore_farm and config.accept_new_farm:
        raise ConfigurationError("--restore-farm and --accept-new-farm exclude each other")
    code = config.restore_farm or config.accept_new_farm
    return Recovery(code, restore=bool(config.restore_farm)) if code else None


@contextlib.contextmanager
def _programs(config: DirectorConfig) -> Iterator[Programs | None]:
    """Yield what runs programs, as nobody where this process could be anybody."""
    if config.exec_socket is not None:
        yield SystemdPrograms(config.exec_socket)
    elif config.exec_dir is not None:
        user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        with contextlib.closing(OwnPrograms(config.exec_dir, user)) as programs:
            yield programs
    else:
        yield None
