"""Point-to-point tunnels on one host without a director: ``lvsctl tunnel``."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lvsctl.agent.lock import Lock
from lvsctl.errors import ConfigurationError, InvalidInput, LvsctlError, NotFound, StoreError
from lvsctl.farm.tunnels import end_problems
from lvsctl.host.boot import boot_id
from lvsctl.host.linux import LinuxHost
from lvsctl.messages.model import TunnelEnd
from lvsctl.net import IPAddress
from lvsctl.point_to_point.echo import echo, first_to_answer
from lvsctl.point_to_point.ends import Ends
from lvsctl.point_to_point.record import EndsFile
from lvsctl.point_to_point.window import WINDOW, Probes, Window

_FILE = "tunnels.json"
_LOCK = "tunnels.lock"
_LOCK_TIMEOUT_S = 10.0
_POLL_S = 0.05
_ANSWER_TIMEOUT_S = 1.0
_MAX_HOSTS = 1024
_MAX_HOPS = 32
"""Enough for a path through the internet, but bounded in case the other end returns packets."""


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """The status of a tunnel on this host.

    Attributes:
        end: The end as it was added.
        reason: Why it is down; empty if it is up.
        mtu: MTU inside the tunnel, in bytes; None if the device is missing.
    """

    end: TunnelEnd
    reason: str
    mtu: int | None

    @property
    def up(self) -> bool:
        """Whether the tunnel is up."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class PingResult:
    """The result of pinging the other end.

    Attributes:
        peer: Its address inside the tunnel.
        probes: Numbers sent and lost, and the mean round-trip time.
    """

    peer: IPAddress
    probes: Probes


class SingleHost:
    """The tunnels that ``lvsctl tunnel`` added on this host."""

    def __init__(self, host: LinuxHost, file: EndsFile) -> None:
        self._host = host
        self._file = file
        self._ends = Ends(host, file.present(), file.save)

    def add(self, end: TunnelEnd) -> None:
        """Add a tunnel; an identical one that exists is repaired where it has drifted.

        Raises:
            InvalidInput: It breaks a rule, or this host cannot have it; nothing was changed.
            StoreError: The record could not be saved; nothing was changed.
            KernelError: The kernel refused; what was made was removed again.
        """
        there = self._ends.recorded.get(end.link)
        # Without the peer's inner address in the command, the recorded one stays.
        if there is not None and replace(there, peers=end.peers) == end:
            end = replace(end, peers=end.peers or there.peers)
        elif there is not None:
            raise ConfigurationError(
                f"there is already a different tunnel {end.link}; remove it first: "
                f"lvsctl tunnel remove {end.link}"
            )
        problems = list(end_problems(end))
        if there is None:
            problems += self._ends.obstacles(end)
        if problems:
            raise InvalidInput(problems)
        try:
            self._ends.bring_up(end)
        except LvsctlError:
            if there is None:
                self._ends.take_down(end.link)
            raise

    def remove(self, link: str) -> None:
        """Remove a tunnel that was added here.

        Raises:
            NotFound: There is no such tunnel.
            KernelError, StoreError: It was not removed completely.
        """
        if link in self._ends.recorded:
            self._ends.take_down(link)
        elif link in {end.link for end in self._file.lost()}:
            self._file.delete_lost(link)
        else:
            raise NotFound(f"lvsctl has added no tunnel {link} on this host")

    def tunnels(self) -> tuple[TunnelStatus, ...]:
        """Return every tunnel that was added here, by name.

        Raises:
            KernelError: The host cannot be read.
        """
        found = [self._shown(end) for end in self._ends.recorded.values()]
        found += [
            TunnelStatus(
                end, "it was lost when this host rebooted; add it again, or remove it", None
            )
            for end in self._file.lost()
            if end.link not in self._ends.recorded
        ]
        return tuple(sorted(found, key=lambda shown: shown.end.link))

    def _shown(self, end: TunnelEnd) -> TunnelStatus:
        status = self._ends.observe(end)
        return TunnelStatus(end, status.reason, status.mtu)

    def tunnel(self, link: str) -> TunnelStatus:
        """Return a tunnel that was added here.

        Raises:
            NotFound: There is no such tunnel.
            KernelError: The host cannot be read.
        """
        for shown in self.tunnels():
            if shown.end.link == link:
                return shown
        raise NotFound(f"lvsctl has added no tunnel {link} on this host")


def asked(shown: Iterable[TunnelStatus]) -> tuple[TunnelStatus, ...]:
    """Probe the other ends where possible; return the tunnels with the results.

    Raises:
        OSError: This process may not send echo requests.
    """
    return asyncio.run(_probe_peers(tuple(shown)))


async def _probe_peers(shown: Sequence[TunnelStatus]) -> tuple[TunnelStatus, ...]:
    return tuple(await asyncio.gather(*map(_probe_peer, shown)))


async def _probe_peer(shown: TunnelStatus) -> TunnelStatus:
    end = shown.end
    if not shown.up:
        return shown
    if end.peers:
        peer = end.peers[0]
        answer = await echo(peer, end.link, _ANSWER_TIMEOUT_S)
        return shown if answer is not None else replace(shown, reason=f"no answer from {peer}")
    candidates = list(_candidates(end))
    if not candidates or await _first(candidates, end.link) is not None:
        return shown
    return replace(shown, reason=f"nobody answers in {_networks(end)}")


@contextlib.contextmanager
def opened(state_dir: Path) -> Iterator[SingleHost]:
    """Open this host for one command; other commands wait meanwhile.

    Args:
        state_dir: Folder of the record; created if missing.

    Raises:
        StoreError: The folder cannot be used.
        ConfigurationError: Another command holds the lock for too long.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{state_dir} cannot be created: {error.strerror}") from error
    lock = Lock(state_dir / _LOCK)
    _acquire(lock, state_dir)
    try:
        with contextlib.closing(LinuxHost()) as host:
            yield SingleHost(host, EndsFile(state_dir / _FILE, boot_id()))
    finally:
        lock.release()


def _acquire(lock: Lock, state_dir: Path) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while not lock.try_acquire():
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"another lvsctl tunnel (process {lock.holder()}) uses {state_dir}"
            )
        time.sleep(_POLL_S)


def ping(end: TunnelEnd, peer: IPAddress | None, count: int, interval_s: float) -> PingResult:
    """Ask the other end of a tunnel several times.

    Args:
        end: This one.
        peer: The other one's address inside; None to find it out.
        count: How often.
        interval_s: Between two requests.

    Raises:
        ConfigurationError: The other end's address cannot be found out.
        OSError: This process may not send echo requests.
    """
    return asyncio.run(_ping(end, peer, count, interval_s))


async def _ping(
    end: TunnelEnd, peer: IPAddress | None, count: int, interval_s: float
) -> PingResult:
    if peer is None:
        peer = end.peers[0] if end.peers else await _find_peer(end)
    window = Window(size=max(count, WINDOW))
    for number in range(count):
        if number:
            await asyncio.sleep(interval_s)
        window.add(await echo(peer, end.link, _ANSWER_TIMEOUT_S, number + 1))
    return PingResult(peer, window.probes)


async def _find_peer(end: TunnelEnd) -> IPAddress:
    """Return the host that answers in the inner network, which has only one neighbour."""
    candidates = list(_candidates(end))
    only = next((hosts[0] for hosts in candidates if len(hosts) == 1), None)
    found = only or await _first(candidates, end.link)
    if found is None:
        raise ConfigurationError(
            f"nobody answers in {_networks(end)} through {end.link}: is the other end up? If it "
            f"is, name its address: lvsctl tunnel ping {end.link} ADDRESS"
        )
    return found


def _candidates(end: TunnelEnd) -> Iterator[Sequence[IPAddress]]:
    """Yield the possible addresses of the other end, by inner network; skip large networks."""
    for address in end.addresses:
        if address.network.num_addresses <= _MAX_HOSTS:
            hosts = [host for host in address.network.hosts() if host != address.ip]
            if hosts:
                yield hosts


async def _first(candidates: Sequence[Sequence[IPAddress]], link: str) -> IPAddress | None:
    """Return the first of the other end's own addresses that answers, None if none does.

    With a hop limit of 1 the other end forwards nothing. But where a tunnel copies the inner hop
    limit to the outer header, such packets reach no further than the next router.
    """
    for hops in (1, _MAX_HOPS):
        for hosts in candidates:
            found = await first_to_answer(hosts, link, _ANSWER_TIMEOUT_S, hops=hops)
            if found is not None:
                return found[0]
    return None


def _networks(end: TunnelEnd) -> str:
    return ", ".join(str(address.network) for address in end.addresses)
