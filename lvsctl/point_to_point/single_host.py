"""Tunnels of one host without a director, as ``lvsctl tunnel`` makes them."""

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
_LOCK_WITHIN_S = 10.0
_LOOK_S = 0.05
_ANSWER_WITHIN_S = 1.0
_MOST_HOSTS = 1024
_HOPS = 32
"""Enough for a way through the internet; few enough where the other end sends back what it gets."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A tunnel as this host has it.

    Attributes:
        end: What was asked for.
        reason: Why it is down; empty where it is up.
        mtu: Bytes inside; None where there is no device.
    """

    end: TunnelEnd
    reason: str
    mtu: int | None

    @property
    def up(self) -> bool:
        """Nothing on this host keeps it from carrying packets."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of asking the other end.

    Attributes:
        peer: Its address inside the tunnel.
        probes: How many were sent and lost, and the mean round-trip time.
    """

    peer: IPAddress
    probes: Probes


class SingleHost:
    """The host of this process, and what ``lvsctl tunnel`` made on it."""

    def __init__(self, host: LinuxHost, file: EndsFile) -> None:
        self._host = host
        self._file = file
        self._ends = Ends(host, file.present(), file.keep)

    def add(self, end: TunnelEnd) -> None:
        """Make a tunnel; one that is there as asked for is made whole where it is not.

        Raises:
            InvalidInput: It breaks a rule, or this host cannot have it; nothing was touched.
            StoreError: The disk does not keep it; nothing was touched.
            KernelError: The kernel refused; what was made is gone again.
        """
        there = self._ends.recorded.get(end.link)
        # Who does not say where the other end is inside does not take it back.
        if there is not None and replace(there, peers=end.peers) == end:
            end = replace(end, peers=end.peers or there.peers)
        elif there is not None:
            raise ConfigurationError(
                f"there is a tunnel {end.link} that differs; lvsctl tunnel remove {end.link} first"
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
        """Take away a tunnel that was added here.

        Raises:
            NotFound: None was.
            KernelError, StoreError: It is not wholly gone.
        """
        if link in self._ends.recorded:
            self._ends.take_down(link)
        elif link in {end.link for end in self._file.lost()}:
            self._file.forget_lost(link)
        else:
            raise NotFound(f"lvsctl has added no tunnel {link} on this host")

    def tunnels(self) -> tuple[Shown, ...]:
        """Return every tunnel that was added here, by name.

        Raises:
            KernelError: The host cannot be read.
        """
        found = [self._shown(end) for end in self._ends.recorded.values()]
        found += [
            Shown(end, "it went with a restart of this host; add it again, or remove it", None)
            for end in self._file.lost()
            if end.link not in self._ends.recorded
        ]
        return tuple(sorted(found, key=lambda shown: shown.end.link))

    def _shown(self, end: TunnelEnd) -> Shown:
        standing = self._ends.standing(end)
        return Shown(end, standing.reason, standing.mtu)

    def tunnel(self, link: str) -> Shown:
        """Return a tunnel that was added here.

        Raises:
            NotFound: None was.
            KernelError: The host cannot be read.
        """
        for shown in self.tunnels():
            if shown.end.link == link:
                return shown
        raise NotFound(f"lvsctl has added no tunnel {link} on this host")


def asked(shown: Iterable[Shown]) -> tuple[Shown, ...]:
    """Return tunnels with whether the other end answers, as far as it can be asked.

    Raises:
        OSError: This process may not send echo requests.
    """
    return asyncio.run(_asked(tuple(shown)))


async def _asked(shown: Sequence[Shown]) -> tuple[Shown, ...]:
    return tuple(await asyncio.gather(*map(_asked_one, shown)))


async def _asked_one(shown: Shown) -> Shown:
    end = shown.end
    if not shown.up:
        return shown
    if end.peers:
        peer = end.peers[0]
        answer = await echo(peer, end.link, _ANSWER_WITHIN_S)
        return shown if answer is not None else replace(shown, reason=f"no answer from {peer}")
    candidates = list(_candidates(end))
    if not candidates or await _first(candidates, end.link) is not None:
        return shown
    return replace(shown, reason=f"nobody answers in {_networks(end)}")


@contextlib.contextmanager
def opened(state_dir: Path) -> Iterator[SingleHost]:
    """Open this host for one command; others wait meanwhile.

    Args:
        state_dir: Where is kept what was made; made where it is missing.

    Raises:
        StoreError: The folder cannot be used.
        ConfigurationError: Another command does not come to an end.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{state_dir} cannot be made: {error.strerror}") from error
    lock = Lock(state_dir / _LOCK)
    _acquire(lock, state_dir)
    try:
        with contextlib.closing(LinuxHost()) as host:
            yield SingleHost(host, EndsFile(state_dir / _FILE, boot_id()))
    finally:
        lock.release()


def _acquire(lock: Lock, state_dir: Path) -> None:
    deadline = time.monotonic() + _LOCK_WITHIN_S
    while not lock.try_acquire():
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"another lvsctl tunnel (process {lock.holder()}) uses {state_dir}"
            )
        time.sleep(_LOOK_S)


def ping(end: TunnelEnd, peer: IPAddress | None, count: int, interval_s: float) -> Answers:
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


async def _ping(end: TunnelEnd, peer: IPAddress | None, count: int, interval_s: float) -> Answers:
    if peer is None:
        peer = end.peers[0] if end.peers else await _find_peer(end)
    window = Window(most=max(count, WINDOW))
    for number in range(count):
        if number:
            await asyncio.sleep(interval_s)
        window.add(await echo(peer, end.link, _ANSWER_WITHIN_S, number + 1))
    return Answers(peer, window.probes)


async def _find_peer(end: TunnelEnd) -> IPAddress:
    """Return the one host that answers in the inner network: there is only one neighbour."""
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
    """Yield who the other end may be, by inner network; not of those with too many to ask."""
    for address in end.addresses:
        if address.network.num_addresses <= _MOST_HOSTS:
            hosts = [host for host in address.network.hosts() if host != address.ip]
            if hosts:
                yield hosts


async def _first(candidates: Sequence[Sequence[IPAddress]], link: str) -> IPAddress | None:
    """Return the first of the other end's own addresses that answers, None if none does.

    With a single hop it forwards nothing that is for others. But where a tunnel copies the inner
    hop count to its outer header, that leads no further than the next router.
    """
    for hops in (1, _HOPS):
        for hosts in candidates:
            found = await first_to_answer(hosts, link, _ANSWER_WITHIN_S, hops=hops)
            if found is not None:
                return found[0]
    return None


def _networks(end: TunnelEnd) -> str:
    return ", ".join(str(address.network) for address in end.addresses)
