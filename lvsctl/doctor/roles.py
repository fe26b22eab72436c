"""Finds out what this host is, from the state folders of agent and director; changes nothing."""

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.config import DEFAULT_STATE_DIR
from lvsctl.agent.devices import ServingSpec
from lvsctl.agent.state_dir import StateDir
from lvsctl.agent.status import status
from lvsctl.doctor.facts import RealServer, Role
from lvsctl.errors import ConfigurationError
from lvsctl.messages.model import Tunnel
from lvsctl.net import IPAddress

DIRECTOR_STATE_DIR = Path("/var/lib/lvsctl")
_FARM, _FARM_LOCK = "farm.db", "farm.db.lock"
_LOCKS = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of ``lvsctl doctor``.

    Attributes:
        role: The role to check; None for all that the host has.
        state_dir: The agent's state folder.
        director_state_dir: The director's state folder.
        vips: VIPs of a real server without an agent.
        tunnels: Tunnels of a real server without an agent.
        address: Address (RIP) of a real server without an agent.
        directors: Addresses of directors that send tunnelled packets here.
        clients: Addresses of clients that must be reachable.
        url: URL of the director's API; None not to ask it.
        token: Bearer token for the API.
    """

    role: Role | None = None
    state_dir: Path = DEFAULT_STATE_DIR
    director_state_dir: Path = DIRECTOR_STATE_DIR
    vips: tuple[IPAddress, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    address: IPAddress | None = None
    directors: tuple[IPAddress, ...] = ()
    clients: tuple[IPAddress, ...] = ()
    url: str | None = None
    token: str | None = None


def find_real_server(options: Options) -> RealServer | None:
    """Return what this host should be as a real server, None if nothing says that it is one.

    Raises:
        ConfigurationError: ``--role real-server`` was given, and nothing says what it serves.
        StoreError: The agent's state folder cannot be read.
    """
    if options.role is Role.DIRECTOR:
        return None
    if options.vips:
        if options.address is None:
            raise ConfigurationError("--vip needs --address too: where do tunnelled packets go?")
        tunnels = options.tunnels or (Tunnel("ipip"),)
        return RealServer(ServingSpec(options.vips, tunnels, options.address), options.directors)
    if not (options.state_dir / "status.json").exists():
        if options.role is Role.REAL_SERVER:
            raise ConfigurationError(
                f"no agent has run with --state-dir {options.state_dir}; for a real server without "
                "an agent give --vip, --tunnel and --address"
            )
        return None
    known = status(options.state_dir)
    config = StateDir(options.state_dir).config()
    urls = {known.contact.director, *(() if config is None else config.directors)}
    assigned = Assignments(known.assignments)
    return RealServer(
        ServingSpec(assigned.vips, assigned.tunnels, known.registration.address),
        directors=options.directors or tuple(sorted(set(_addresses(urls)), key=str)),
        path_mtu=None if assigned.current is None else assigned.current.mtu,
        agent_runs=known.process is not None,
    )


def _addresses(urls: Iterable[str]) -> Iterator[IPAddress]:
    for url in urls:
        host = urlsplit(url).hostname
        if not host:
            continue
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            continue  # does not resolve: its route and path are not checked
        for *_, (address, *_) in found:
            yield ip_address(str(address).partition("%")[0])


def director_was_here(folder: Path) -> bool:
    """Tell whether a director's state folder holds a farm."""
    return (folder / _FARM).exists()


def director_runs(folder: Path, locks: Path = _LOCKS) -> bool:
    """Tell whether a daemon holds the store's lock, without trying to take it."""
    try:
        number = (folder / _FARM_LOCK).stat().st_ino
        lines = locks.read_text().splitlines()
    except FileNotFoundError:
        return False
    # 3: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
    fields = (line.split() for line in lines)
    return any("FLOCK" in each and each[-3].split(":")[-1] == str(number) for each in fields)
