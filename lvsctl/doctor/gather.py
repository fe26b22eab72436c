"""Gathers everything that the checks judge. Only looks: nothing on this host is changed."""

import contextlib
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pyroute2 import IPRoute

from lvsctl.director.vips.neighbours import LinkNeighbours
from lvsctl.director.vips.plan import links_of
from lvsctl.doctor.api import ApiAnswer, ask
from lvsctl.doctor.arrivals import PROTOCOLS, watch
from lvsctl.doctor.counters import read_counters
from lvsctl.doctor.facts import Director, Facts, Journey, NoRoute, RealServer, Role, Route, Way
from lvsctl.doctor.listening import Listener
from lvsctl.doctor.modules import read_modules
from lvsctl.doctor.needs import needs_of
from lvsctl.doctor.probing import Target, probe
from lvsctl.doctor.programs import read_firewall
from lvsctl.doctor.roles import Options, director_runs, director_was_here, find_real_server
from lvsctl.doctor.routes import find_route
from lvsctl.doctor.sysctl_files import read_settings
from lvsctl.errors import ConfigurationError
from lvsctl.host.interface import AddressKey, HostKey, LinkKey, SysctlKey
from lvsctl.host.linux import LinuxHost
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.table import IpvsTable
from lvsctl.net import IPAddress, family_of

LOOK_S = 1.0
MANY_WAYS = 2000
MANY_VIPS = 256
_IPVS_FILE = Path("/proc/thread-self/net/ip_vs")
_CONF = ("arp_ignore", "arp_announce", "rp_filter")
_VS = ("expire_nodest_conn", "expire_quiescent_template", "pmtu_disc", "schedule_icmp")
_ANYWHERE = {4: ip_address("198.18.0.1"), 6: ip_address("2001:2::1")}
"""Addresses that only a default route leads to (RFC 2544, RFC 5180)."""


def gather(options: Options) -> Facts:
    """Look at this host for a second, and a few more where probes are not answered.

    Raises:
        ConfigurationError: Nothing says that this host is a real server or a director.
        KernelLacks: The process may not look.
        KernelError: The kernel does not answer.
        StoreError: The agent's state folder cannot be read.
    """
    not_looked: list[str] = []
    # First, so that a process without privileges is told at once.
    with contextlib.closing(Listener(PROTOCOLS)) as listener:
        real_server = find_real_server(options)
        director = _find_director(options)
        if real_server is None and director is None:
            raise ConfigurationError(
                f"this host is neither: no agent has run with --state-dir {options.state_dir}, no "
                f"director with --director-state-dir {options.director_state_dir}, and the IPVS "
                "table has no tunnel; --role says what to look at it as"
            )
        before = read_counters()
        vips = () if real_server is None else real_server.task.vips
        arrivals = watch(listener, vips, time.monotonic() + LOOK_S)
        after = read_counters()
    modules = read_modules()
    tables, unread = read_firewall(modules.loaded)
    not_looked.extend(unread)
    with contextlib.closing(LinuxHost()) as host, IPRoute() as rtnetlink:
        links = tuple(host.links())
        addresses = tuple(host.addresses())
        state = host.observe(list(_keys(links, real_server, modules.loaded)))
        seen = _Seen(real_server, director, addresses, options.clients, not_looked)
        routes = {journey: find_route(rtnetlink, journey) for journey in seen.journeys()}
        ways = {journey.destination: routes[journey] for journey in routes if not journey.source}
        probed = probe(list(seen.targets(ways)))
    return Facts(
        host=socket.gethostname(),
        modules=modules,
        real_server=real_server,
        director=director,
        state=state,
        links=links,
        addresses=addresses,
        settings=read_settings(),
        tables=tables,
        routes=routes,
        probed=probed,
        owners=seen.owners(),
        before=before,
        after=after,
        arrivals=arrivals,
        clients=options.clients,
        not_looked=tuple(not_looked),
    )


def _find_director(options: Options) -> Director | None:
    if options.role is Role.REAL_SERVER:
        return None
    table = _table()
    kept = director_was_here(options.director_state_dir)
    if not (Director(table).vips or kept or options.role is Role.DIRECTOR):
        return None
    answer = None if options.url is None else ask(options.url, options.token)
    return Director(
        table,
        daemon_runs=director_runs(options.director_state_dir) if kept else None,
        api=None if answer is None else answer.problem,
        path_mtus=(answer or ApiAnswer()).path_mtus,
    )


def _table() -> IpvsTable:
    if not _IPVS_FILE.exists():
        return {}  # ip_vs is not loaded, and to ask for its table would load it
    with contextlib.closing(open_ipvs()) as ipvs:
        return ipvs.snapshot()


def _keys(
    links: Sequence[str], real_server: RealServer | None, loaded: Collection[str]
) -> Iterator[HostKey]:
    yield from map(LinkKey, links)
    for device in ("all", "default", *links):
        for parameter in _CONF:
            yield SysctlKey(("net", "ipv4", "conf", device, parameter))
    for parameter in _VS:
        yield SysctlKey(("net", "ipv4", "vs", parameter))
    for need in () if real_server is None else needs_of(real_server.task):
        if need.fou_port is not None and set(need.modules).issubset(
            loaded
        ):  # else it would be loaded
            yield need.fou_port


@dataclass(frozen=True, slots=True)
class _Seen:
    """What has been seen so far, and what to ask about next."""

    real_server: RealServer | None
    director: Director | None
    addresses: tuple[AddressKey, ...]
    clients: tuple[IPAddress, ...]
    not_looked: list[str]

    @property
    def _local(self) -> set[IPAddress]:
        return {key.address.ip for key in self.addresses}

    def journeys(self) -> Iterator[Journey]:
        """Yield each route that is of interest, once."""
        yield from dict.fromkeys(self._journeys())

    def _journeys(self) -> Iterator[Journey]:
        if self.director is not None:
            for way in self.director.ways:
                yield Journey(way.rip)
        if self.real_server is not None:
            for director in self.real_server.directors:
                yield Journey(director)
            for vip in self.real_server.task.vips:
                if vip in self._local:
                    for client in self.clients or (_ANYWHERE[vip.version],):
                        if client.version == vip.version:
                            yield Journey(client, vip)

    def targets(self, routes: "dict[IPAddress, Route | NoRoute]") -> Iterator[Target]:
        """Yield what can be probed."""
        ways = () if self.director is None else self.director.ways
        if len(ways) > MANY_WAYS:
            self.not_looked.append(f"tunnels: {MANY_WAYS} of {len(ways)} were probed")
        directors = () if self.real_server is None else self.real_server.directors
        for what in (*ways[:MANY_WAYS], *directors):
            destination = what.rip if isinstance(what, Way) else what
            route = routes.get(destination)
            if destination in self._local or not isinstance(route, Route) or route.source is None:
                continue
            inside = self._inner_source(what, route) if isinstance(what, Way) else None
            if isinstance(what, Way) and inside is None:
                self.not_looked.append(
                    f"tunnel {what}: this host has no {family_of(what.vip)} address of its own on "
                    f"{route.link} that the answer could go to"
                )
                continue
            yield Target(what, route.source, inside, route.mtu)

    def _inner_source(self, way: Way, route: Route) -> IPAddress | None:
        """Return an address of this host where answers from a VIP arrive."""
        vips = set[IPAddress]() if self.director is None else set(self.director.vips)
        own = [
            key.address.ip
            for key in self.addresses
            if key.link == route.link
            and key.address.ip.version == way.vip.version
            and not key.address.ip.is_link_local
            and key.address.ip not in vips
        ]
        if route.source in own:
            return route.source
        return own[0] if own else None

    def owners(self) -> Mapping[IPAddress, str]:
        """Ask the links who else has the director's VIPs."""
        if self.director is None:
            return {}
        local = self._local
        here = [vip for vip in self.director.vips if vip in local]
        if len(here) > MANY_VIPS:
            self.not_looked.append(f"foreign VIPs: {MANY_VIPS} of {len(here)} were asked for")
        asked: dict[str, list[IPAddress]] = {}
        links = links_of(self.addresses)
        for vip in here[:MANY_VIPS]:
            for link in links[family_of(vip)]:
                asked.setdefault(link, []).append(vip)
        return LinkNeighbours().owners(asked)
