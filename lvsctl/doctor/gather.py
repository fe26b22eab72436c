"""Gathers everything that the checks need; changes nothing on this host."""

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
from lvsctl.doctor.capture import PacketCapture
from lvsctl.doctor.counters import read_counters
from lvsctl.doctor.facts import (
    Director,
    Facts,
    NoRoute,
    RealServer,
    Role,
    Route,
    RouteQuery,
    TunnelPath,
)
from lvsctl.doctor.modules import read_modules
from lvsctl.doctor.probing import Target, probe
from lvsctl.doctor.roles import Options, director_runs, director_was_here, find_real_server
from lvsctl.doctor.routes import find_route
from lvsctl.doctor.rulesets import read_firewall
from lvsctl.doctor.sysctl_files import read_settings
from lvsctl.doctor.tunnel_requirements import requirements_of
from lvsctl.errors import ConfigurationError
from lvsctl.host.interface import AddressKey, HostKey, LinkKey, SysctlKey
from lvsctl.host.linux import LinuxHost
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.table import IpvsTable
from lvsctl.net import IPAddress, family_of

WATCH_S = 1.0
MAX_TUNNEL_PATHS = 2000
MAX_VIPS = 256
_IPVS_FILE = Path("/proc/thread-self/net/ip_vs")
_CONF = ("arp_ignore", "arp_announce", "rp_filter")
_VS = ("expire_nodest_conn", "expire_quiescent_template", "pmtu_disc", "schedule_icmp")
_UNKNOWN_CLIENTS = {4: ip_address("198.18.0.1"), 6: ip_address("2001:2::1")}
"""Reserved addresses (RFC 2544, RFC 5180) that only a default route covers."""


def gather(options: Options) -> Facts:
    """Gather facts for about a second, and a few more if probes are not answered.

    Raises:
        ConfigurationError: Nothing says that this host is a real server or a director.
        KernelLacks: The process lacks the privileges.
        KernelError: The kernel refused a request.
        StoreError: The agent's state folder cannot be read.
    """
    not_looked: list[str] = []
    # First, so that a process without privileges fails at once.
    with contextlib.closing(PacketCapture(PROTOCOLS)) as capture:
        real_server = find_real_server(options)
        director = _find_director(options)
        if real_server is None and director is None:
            raise ConfigurationError(
                f"this host is neither: no agent has run with --state-dir {options.state_dir}, no "
                f"director with --director-state-dir {options.director_state_dir}, and the IPVS "
                "table has no tunnel; --role says what to look at it as"
            )
        before = read_counters()
        vips = () if real_server is None else real_server.spec.vips
        arrivals = watch(capture, vips, time.monotonic() + WATCH_S)
        after = read_counters()
    modules = read_modules()
    tables, unread = read_firewall(modules.loaded)
    not_looked.extend(unread)
    with contextlib.closing(LinuxHost()) as host, IPRoute() as rtnetlink:
        links = tuple(host.links())
        addresses = tuple(host.addresses())
        state = host.observe(list(_keys(links, real_server, modules.loaded)))
        queries = _Queries(real_server, director, addresses, options.clients, not_looked)
        routes = {query: find_route(rtnetlink, query) for query in queries.route_queries()}
        by_destination = {query.destination: routes[query] for query in routes if not query.source}
        probed = probe(list(queries.targets(by_destination)))
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
        owners=queries.owners(),
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
        return {}  # a request for the table would load ip_vs
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
    for requirement in () if real_server is None else requirements_of(real_server.spec):
        if requirement.fou_port is not None and set(requirement.modules).issubset(
            loaded
        ):  # else it would be loaded
            yield requirement.fou_port


@dataclass(frozen=True, slots=True)
class _Queries:
    """Derives from the roles and addresses of this host what to look up and to probe."""

    real_server: RealServer | None
    director: Director | None
    addresses: tuple[AddressKey, ...]
    clients: tuple[IPAddress, ...]
    not_looked: list[str]

    @property
    def _local(self) -> set[IPAddress]:
        return {key.address.ip for key in self.addresses}

    def route_queries(self) -> Iterator[RouteQuery]:
        """Yield each route that the checks need, once."""
        yield from dict.fromkeys(self._route_queries())

    def _route_queries(self) -> Iterator[RouteQuery]:
        if self.director is not None:
            for tunnel_path in self.director.tunnel_paths:
                yield RouteQuery(tunnel_path.rip)
        if self.real_server is not None:
            for director in self.real_server.directors:
                yield RouteQuery(director)
            for vip in self.real_server.spec.vips:
                if vip in self._local:
                    for client in self.clients or (_UNKNOWN_CLIENTS[vip.version],):
                        if client.version == vip.version:
                            yield RouteQuery(client, vip)

    def targets(self, routes: "dict[IPAddress, Route | NoRoute]") -> Iterator[Target]:
        """Yield everything that can be probed."""
        tunnel_paths = () if self.director is None else self.director.tunnel_paths
        if len(tunnel_paths) > MAX_TUNNEL_PATHS:
            self.not_looked.append(
                f"tunnels: {MAX_TUNNEL_PATHS} of {len(tunnel_paths)} were probed"
            )
        directors = () if self.real_server is None else self.real_server.directors
        for what in (*tunnel_paths[:MAX_TUNNEL_PATHS], *directors):
            destination = what.rip if isinstance(what, TunnelPath) else what
            route = routes.get(destination)
            if destination in self._local or not isinstance(route, Route) or route.source is None:
                continue
            inside = self._inner_source(what, route) if isinstance(what, TunnelPath) else None
            if isinstance(what, TunnelPath) and inside is None:
                self.not_looked.append(
                    f"tunnel {what}: this host has no {family_of(what.vip)} address of its own on "
                    f"{route.link} that the answer could go to"
                )
                continue
            yield Target(what, route.source, inside, route.mtu)

    def _inner_source(self, tunnel_path: TunnelPath, route: Route) -> IPAddress | None:
        """Return an address of this host that a real server can send its reply to."""
        vips = set[IPAddress]() if self.director is None else set(self.director.vips)
        own = [
            key.address.ip
            for key in self.addresses
            if key.link == route.link
            and key.address.ip.version == tunnel_path.vip.version
            and not key.address.ip.is_link_local
            and key.address.ip not in vips
        ]
        if route.source in own:
            return route.source
        return own[0] if own else None

    def owners(self) -> Mapping[IPAddress, str]:
        """Ask on all links whether another host has one of the director's VIPs (ARP, NDP)."""
        if self.director is None:
            return {}
        local = self._local
        here = [vip for vip in self.director.vips if vip in local]
        if len(here) > MAX_VIPS:
            self.not_looked.append(f"foreign VIPs: {MAX_VIPS} of {len(here)} were asked for")
        asked: dict[str, list[IPAddress]] = {}
        links = links_of(self.addresses)
        for vip in here[:MAX_VIPS]:
            for link in links[family_of(vip)]:
                asked.setdefault(link, []).append(vip)
        return LinkNeighbours().owners(asked)
