"""The agent's entry points: the daemon, and leaving with or without it."""

import asyncio
import contextlib
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import structlog

from lvsctl.agent.addresses import real_server_address, resolve_host
from lvsctl.agent.agent import Agent
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.credential import Credential, keep_renewed
from lvsctl.agent.director_client import HttpDirectorClient
from lvsctl.agent.directors import Backoff, Directors
from lvsctl.agent.in_effect import AssignmentsInEffect
from lvsctl.agent.joining import renewed
from lvsctl.agent.leave import Leave
from lvsctl.agent.leave_files import LeaveRequest
from lvsctl.agent.point_to_point import HostEnds, PointToPoint
from lvsctl.agent.real_server import RealServer
from lvsctl.agent.record import Record
from lvsctl.agent.restored_state import RestoredState, restore_state
from lvsctl.agent.served_host import ServedHost
from lvsctl.agent.state_dir import TUNNEL_ENDS, StateDir
from lvsctl.errors import ConfigurationError, StoreCorrupt, StoreError
from lvsctl.host.boot import boot_id
from lvsctl.host.events import host_events
from lvsctl.host.interface import Host
from lvsctl.host.linux import LinuxHost
from lvsctl.logs import configure_logging
from lvsctl.messages.model import Registration
from lvsctl.net import IPAddress
from lvsctl.point_to_point.echo import echo
from lvsctl.point_to_point.ends import Ends
from lvsctl.point_to_point.record import EndsFile
from lvsctl.sd_notify import notify_ready
from lvsctl.token_file import read_token
from lvsctl.worker import Worker

_log = structlog.get_logger()

_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 1.0, 10.0
_POLL_S = 0.2
_MAX_WEIGHT = 65535


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components that the daemon and a leave without it share."""

    name: str
    registration: Registration
    directors: Directors
    host: ServedHost
    state: StateDir
    restored: RestoredState


def run(config: AgentConfig) -> int:
    """Run the agent until SIGTERM or SIGINT, which leave the host as it is, or until it has left.

    Raises:
        ConfigurationError: A flag is wrong, or another agent uses the state folder.
        StoreError: The state folder cannot be used.
        KernelError: This host cannot be observed.
    """
    configure_logging()
    return asyncio.run(_run(config))


def leave(
    config: AgentConfig, deadline_s: float, *, force: bool, say: Callable[[str], None]
) -> int:
    """Leave all pools and restore the host; return the exit status.

    If the daemon runs, it does this and exits; otherwise this process does.

    Args:
        config: How the agent runs, as :func:`last_config` returns it.
        deadline_s: How long connections may take to end.
        force: Undo the set-up even if no director confirms.
        say: Prints a progress message.

    Raises:
        ConfigurationError: A flag is wrong.
        StoreError: The state folder cannot be used.
        KernelError: This host cannot be observed.
    """
    state = StateDir(config.state_dir)
    request = LeaveRequest(uuid.uuid4().hex, deadline_s, force)
    left = asyncio.run(_leave(config, state, request, say))
    return 0 if left else 1


def last_config(state_dir: Path) -> AgentConfig:
    """Return the configuration with which the agent of a state folder last ran.

    Raises:
        ConfigurationError: No agent ran there.
        StoreError: The state folder cannot be used.
    """
    config = StateDir(state_dir).config() if state_dir.is_dir() else None
    if config is None:
        raise ConfigurationError(f"no agent has run with --state-dir {state_dir}")
    return config


async def _run(config: AgentConfig) -> int:
    serving = asyncio.ensure_future(_serve_alone(config))
    # The task has not started yet: once the lock is taken, the handlers are installed.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    return 0


async def _serve_alone(config: AgentConfig) -> None:
    state = StateDir(config.state_dir)
    if not state.lock.try_acquire():
        raise ConfigurationError(
            f"an agent (process {state.lock.holder()}) already runs with --state-dir "
            f"{config.state_dir}"
        )
    try:
        await _serve(config, state)
    finally:
        state.lock.release()


async def _serve(config: AgentConfig, state: StateDir) -> None:
    async with _parts(config, state) as parts:
        await parts.host.worker.run(_save_config, state, config, parts.registration)
        agent = Agent(
            name=parts.name,
            registration=parts.registration,
            directors=parts.directors,
            host=parts.host,
            in_effect=AssignmentsInEffect(parts.name, state, parts.restored),
            state=state,
            now=_utc_now,
        )
        _log.info("agent started", name=parts.name, address=str(parts.registration.address))
        async with _renewing(config), _announcing(agent):
            with _events(agent.host_changed):
                await agent.run()


async def _leave(
    config: AgentConfig, state: StateDir, request: LeaveRequest, say: Callable[[str], None]
) -> bool:
    state.leave.save_request(request)
    printed = 0
    while True:
        # Checked before the answer is read: a daemon answers before it releases the lock.
        alone = state.lock.try_acquire()
        lines, left = _answer(state, request)
        for line in lines[printed:]:
            say(line)
        printed = max(printed, len(lines))
        if left is not None:
            state.lock.release()
            state.leave.delete_progress()
            return left
        if alone:
            return await _leave_alone(config, state, request, say)
        await asyncio.sleep(_POLL_S)


def _answer(state: StateDir, request: LeaveRequest) -> tuple[Sequence[str], bool | None]:
    """Return a daemon's progress messages for a request so far, and its outcome."""
    progress = state.leave.progress()
    if progress is not None and progress.id == request.id:
        return progress.lines, progress.left
    if state.leave.request() is None:
        # It was answered together with another request. An agent that left keeps no configuration.
        return (), state.config() is None
    return (), None


async def _leave_alone(
    config: AgentConfig, state: StateDir, request: LeaveRequest, say: Callable[[str], None]
) -> bool:
    try:
        # Unchecked, so that a host that lost its address can leave too.
        async with _parts(config, state, config.address) as parts:
            left = await Leave(
                name=parts.name,
                registration=parts.registration,
                directors=parts.directors,
                state=state,
                worker=parts.host.worker,
                undo=parts.host.undo,
                say=say,
            ).run(request)
        state.leave.delete_progress()
    finally:
        state.lock.release()
    return left


@contextlib.asynccontextmanager
async def _parts(
    config: AgentConfig, state: StateDir, address: IPAddress | None = None
) -> AsyncIterator[_Parts]:
    """Create the agent's components, each in the thread that uses it.

    Args:
        config: Its configuration.
        state: Its state folder.
        address: The real server's, unchecked; None to determine and check it.
    """
    _check(config)
    async with contextlib.AsyncExitStack() as stack:
        worker = Worker("host")
        stack.callback(worker.close)
        host = await worker.run(LinuxHost)
        stack.push_async_callback(worker.run, host.close)
        restored = await worker.run(restore_state, state, boot_id())
        directors = Directors(
            [
                HttpDirectorClient(
                    url, _token_file(config), resolve=resolve_host, ca_file=config.ca_file
                )
                for url in config.directors
            ],
            Backoff(_BACKOFF_FIRST_S, _BACKOFF_MAX_S, Random()),  # noqa: S311 - jitter
        )
        stack.push_async_callback(directors.close)
        if address is None:
            address = await worker.run(_address, config, state, host, restored.record)
        server = RealServer(
            host,
            restored.record,
            state.save_record,
            name=config.name,
            address=address,
            now=_utc_now,
        )
        file = EndsFile(state.path / TUNNEL_ENDS, boot_id())
        ends = HostEnds(
            Ends(host, restored.ends, file.save), name=config.name, lost=restored.ends_lost
        )
        registration = Registration(address, config.pools, config.weight)
        served = ServedHost(server, ends, PointToPoint(echo, _utc_now), worker)
        yield _Parts(config.name, registration, directors, served, state, restored)


def _check(config: AgentConfig) -> None:
    if not config.directors:
        raise ConfigurationError("an agent needs a director: give --director URL")
    if not 0 <= config.weight <= _MAX_WEIGHT:
        raise ConfigurationError(f"--weight {config.weight} is not within 0 and {_MAX_WEIGHT}")
    if config.token_file is not None:
        read_token(config.token_file)


def _token_file(config: AgentConfig) -> Path | None:
    """Return the file with what the agent shows: by default the credential that it joined with."""
    credential = Credential(config.state_dir)
    own = credential.path if credential.exists else None
    return config.token_file or own


@contextlib.asynccontextmanager
async def _renewing(config: AgentConfig) -> AsyncIterator[None]:
    """Renew the agent's own credential meanwhile, if it shows that."""
    credential = Credential(config.state_dir)
    if _token_file(config) != credential.path:
        yield
        return
    renew = partial(renewed, config, credential)
    renewing = asyncio.create_task(keep_renewed(credential, renew, time.time))
    try:
        yield
    finally:
        renewing.cancel()


@contextlib.asynccontextmanager
async def _announcing(agent: Agent) -> AsyncIterator[None]:
    """Tell systemd that the agent is ready once it has checked the host."""

    async def announce() -> None:
        await agent.checked()
        notify_ready()

    announcing = asyncio.create_task(announce())
    try:
        yield
    finally:
        announcing.cancel()


def _address(config: AgentConfig, state: StateDir, host: Host, record: Record) -> IPAddress:
    vips = {key for key, entry in record.found.items() if entry.found is None}
    own = {key.address.ip for key in host.addresses().keys() - vips}
    try:
        last = state.config()
    except StoreCorrupt as error:
        _log.warning("the saved configuration is damaged", reason=str(error))
        last = None
    return real_server_address(
        config.address, last.address if last else None, config.directors[0], own
    )


def _save_config(state: StateDir, config: AgentConfig, registration: Registration) -> None:
    try:
        state.save_config(replace(config, address=registration.address))
    except StoreError as error:
        _log.warning("configuration not saved; agent leave will need flags", reason=str(error))


@contextlib.contextmanager
def _events(on_change: Callable[[], None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(host_events(on_change))
        except OSError as error:
            _log.warning("no kernel events; the host is checked by timer only", reason=str(error))
        yield


def _utc_now() -> datetime:
    return datetime.now(UTC)
