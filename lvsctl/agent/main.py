"""The agent put together: the daemon, a leave with or without one, and its status."""

import asyncio
import contextlib
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import structlog

from lvsctl.agent.addresses import addresses_of, real_server_address
from lvsctl.agent.agent import Agent, undone
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.director_client import HttpDirectorClient
from lvsctl.agent.directors import Backoff, Directors
from lvsctl.agent.faults import Fault
from lvsctl.agent.leave import Leave
from lvsctl.agent.point_to_point import HostEnds
from lvsctl.agent.real_server import RealServer
from lvsctl.agent.record import Record
from lvsctl.agent.restored_state import RestoredState, restore_state
from lvsctl.agent.state_dir import TUNNEL_ENDS, LeaveRequest, StateDir
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

_BACKOFF_FIRST_S, _BACKOFF_MOST_S = 1.0, 10.0
_LOOK_S = 0.2
_MOST_WEIGHT = 65535


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the daemon and a leave without it have in common."""

    name: str
    registration: Registration
    directors: Directors
    server: RealServer
    ends: HostEnds
    worker: Worker
    state: StateDir
    recalled: RestoredState


def run(config: AgentConfig) -> int:
    """Run the agent until SIGTERM or SIGINT, which leave the host as it is, or until it has left.

    Raises:
        ConfigurationError: A flag is wrong, or another agent has the state folder.
        StoreError: The state folder cannot be used.
        KernelError: This host cannot be observed.
    """
    configure_logging()
    return asyncio.run(_run(config))


def leave(
    config: AgentConfig, deadline_s: float, *, force: bool, say: Callable[[str], None]
) -> int:
    """Leave all pools and make the host as it was found; return the exit status.

    Where a daemon runs, it does that and ends; else this process does.

    Args:
        config: How the agent runs, as :func:`remembered_config` returns it.
        deadline_s: How long connections may take to end.
        force: Undo the set-up even if no director confirms.
        say: Tells a person what happens.

    Raises:
        ConfigurationError: A flag is wrong.
        StoreError: The state folder cannot be used.
        KernelError: This host cannot be observed.
    """
    state = StateDir(config.state_dir)
    request = LeaveRequest(uuid.uuid4().hex, deadline_s, force)
    left = asyncio.run(_leave(config, state, request, say))
    return 0 if left else 1


def remembered_config(state_dir: Path) -> AgentConfig:
    """Return how the agent of a state folder was last run.

    Raises:
        ConfigurationError: None was.
        StoreError: The state folder cannot be used.
    """
    config = StateDir(state_dir).config() if state_dir.is_dir() else None
    if config is None:
        raise ConfigurationError(f"no agent has run with --state-dir {state_dir}")
    return config


async def _run(config: AgentConfig) -> int:
    serving = asyncio.ensure_future(_serve_alone(config))
    # It has not begun yet: whoever sees the lock taken can count on the handlers.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    return 0


async def _serve_alone(config: AgentConfig) -> None:
    state = StateDir(config.state_dir)
    if not state.lock.try_acquire():
        raise ConfigurationError(
            f"an agent (process {state.lock.holder()}) runs with --state-dir {config.state_dir}"
        )
    try:
        await _serve(config, state)
    finally:
        state.lock.release()


async def _serve(config: AgentConfig, state: StateDir) -> None:
    async with _parts(config, state) as parts:
        await parts.worker.run(_remember, state, config, parts.registration)
        agent = Agent(
            name=parts.name,
            registration=parts.registration,
            directors=parts.directors,
            server=parts.server,
            ends=parts.ends,
            echo=echo,
            worker=parts.worker,
            state=state,
            recalled=parts.recalled,
            backoff=Backoff(_BACKOFF_FIRST_S, _BACKOFF_MOST_S, Random()),  # noqa: S311 - jitter
            now=_now,
            on_checked=notify_ready,
        )
        _log.info("agent runs", name=parts.name, address=str(parts.registration.address))
        with _events(agent.host_changed):
            await agent.run()


async def _leave(
    config: AgentConfig, state: StateDir, request: LeaveRequest, say: Callable[[str], None]
) -> bool:
    state.request_leave(request)
    shown = 0
    while True:
        # Looked at before the answer is read: a daemon answers before it lets go of the lock.
        alone = state.lock.try_acquire()
        lines, left = _answer(state, request)
        for line in lines[shown:]:
            say(line)
        shown = max(shown, len(lines))
        if left is not None:
            state.lock.release()
            state.drop_leave_progress()
            return left
        if alone:
            return await _leave_alone(config, state, request, say)
        await asyncio.sleep(_LOOK_S)


def _answer(state: StateDir, request: LeaveRequest) -> tuple[Sequence[str], bool | None]:
    """Return what a daemon has said of a request so far, and how it ended."""
    progress = state.leave_progress()
    if progress is not None and progress.id == request.id:
        return progress.lines, progress.left
    if state.leave_request() is None:
        # It was answered together with another one. Whoever has left remembers nothing.
        return (), state.config() is None
    return (), None


async def _leave_alone(
    config: AgentConfig, state: StateDir, request: LeaveRequest, say: Callable[[str], None]
) -> bool:
    try:
        # A host that lost its address may leave too.
        async with _parts(config, state, config.address) as parts:

            async def undo() -> Sequence[Fault]:
                return await parts.worker.run(undone, parts.server, parts.ends)

            left = await Leave(
                name=parts.name,
                registration=parts.registration,
                directors=parts.directors,
                state=state,
                worker=parts.worker,
                undo=undo,
                say=say,
            ).carry_out(request)
        state.drop_leave_progress()
    finally:
        state.lock.release()
    return left


@contextlib.asynccontextmanager
async def _parts(
    config: AgentConfig, state: StateDir, address: IPAddress | None = None
) -> AsyncIterator[_Parts]:
    """Open what an agent stands on, each in the thread that uses it.

    Args:
        config: How it runs.
        state: Its disk.
        address: The real server's, unchecked; None to check or find it out.
    """
    _check(config)
    async with contextlib.AsyncExitStack() as stack:
        worker = Worker("host")
        stack.callback(worker.close)
        host = await worker.run(LinuxHost)
        stack.push_async_callback(worker.run, host.close)
        recalled = await worker.run(restore_state, state, boot_id())
        directors = Directors(
            [
                HttpDirectorClient(url, config.token_file, resolve=addresses_of)
                for url in config.directors
            ]
        )
        stack.push_async_callback(directors.close)
        if address is None:
            address = await worker.run(_address, config, state, host, recalled.record)
        server = RealServer(
            host, recalled.record, state.keep_record, name=config.name, address=address, now=_now
        )
        file = EndsFile(state.path / TUNNEL_ENDS, boot_id())
        ends = HostEnds(
            Ends(host, recalled.ends, file.keep), name=config.name, lost=recalled.ends_lost
        )
        registration = Registration(address, config.pools, config.weight)
        yield _Parts(config.name, registration, directors, server, ends, worker, state, recalled)


def _check(config: AgentConfig) -> None:
    if not config.directors:
        raise ConfigurationError("an agent needs a director: give --director URL")
    if not 0 <= config.weight <= _MOST_WEIGHT:
        raise ConfigurationError(f"--weight {config.weight} is not within 0 and {_MOST_WEIGHT}")
    if config.token_file is not None:
        read_token(config.token_file)


def _address(config: AgentConfig, state: StateDir, host: Host, record: Record) -> IPAddress:
    vips = {key for key, entry in record.found.items() if entry.found is None}
    own = {key.address.ip for key in host.addresses().keys() - vips}
    try:
        remembered = state.config()
    except StoreCorrupt as error:
        _log.warning("the last configuration is lost", reason=str(error))
        remembered = None
    return real_server_address(
        config.address, remembered.address if remembered else None, config.directors[0], own
    )


def _remember(state: StateDir, config: AgentConfig, registration: Registration) -> None:
    try:
        state.keep_config(replace(config, address=registration.address))
    except StoreError as error:
        _log.warning("a leave without flags will not know the directors", reason=str(error))


@contextlib.contextmanager
def _events(on_change: Callable[[], None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(host_events(on_change))
        except OSError as error:
            _log.warning("no word of changes on the host; it is looked at", reason=str(error))
        yield


def _now() -> datetime:
    return datetime.now(UTC)
