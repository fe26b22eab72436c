"""Rules that a farm must satisfy before it is stored.

Each rule is a generator of problems with one object of the farm; ``broken_rules`` runs them all.
A problem's pointer is relative to that object, so that the same rule serves a whole farm file
and a single object.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from lvsctl.errors import Problem
from lvsctl.farm.compile import service_keys
from lvsctl.farm.model import Farm, Pool, RealServer, Service, Settings
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.rules.clashes import clashes
from lvsctl.farm.rules.fields import (
    MAX_WEIGHT,
    name_problems,
    range_problems,
    unicast_problems,
)
from lvsctl.farm.rules.health import broken_health_rules
from lvsctl.farm.rules.real_servers import pool_problems
from lvsctl.farm.rules.table_size import table_too_large
from lvsctl.farm.rules.tunnels import broken_tunnel_rules
from lvsctl.farm.status import AdministrativeState, Agent, AtDeadline, Deadline, Override
from lvsctl.farm.tunnels import tunnel_problems
from lvsctl.ipvs.table import FwmarkKey, Persistence, ServiceKey
from lvsctl.messages.model import Membership
from lvsctl.net import IPAddress, IpProtocol, family_of
from lvsctl.times import format_utc

MAX_MARK = 0xFFFFFFFF
MAX_PORT = 65535
MIN_PROBE_PORT = 1024
"""Lower ports are privileged."""
MAX_NAMED = 20
"""Names listed in a message."""
MAX_TIMEOUT_S = 31 * 86400
"""ipvsadm's limit for every timeout: 31 days."""

SCHEDULERS = (
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos",
)  # fmt: skip
SCHEDULER_FLAGS: Mapping[str, tuple[str, ...]] = {
    "sh": ("sh-fallback", "sh-port"),
    "mh": ("mh-fallback", "mh-port"),
}

SYSCTL_RANGES: Mapping[str, tuple[int, int]] = {
    "am_droprate": (0, 1000000),
    "amemthresh": (0, 1 << 30),
    "backup_only": (0, 1),
    "cache_bypass": (0, 1),
    "conn_reuse_mode": (0, 2),
    "drop_entry": (0, 3),
    "drop_packet": (0, 3),
    "expire_nodest_conn": (0, 1),
    "expire_quiescent_template": (0, 1),
    "ignore_tunneled": (0, 1),
    "nat_icmp_send": (0, 1),
    "pmtu_disc": (0, 1),
    "schedule_icmp": (0, 1),
    "secure_tcp": (0, 3),
    "sloppy_sctp": (0, 1),
    "sloppy_tcp": (0, 1),
    "snat_reroute": (0, 1),
}
"""Sysctls below net.ipv4.vs that a farm may set (Documentation/networking/ipvs-sysctl.rst), except
``conntrack``: it changes what the operator's firewall sees, so the operator sets it."""


BrokenRule = tuple[ObjectId, Problem]


def broken_rules(
    farm: Farm, taken: Mapping[IPAddress, str], agents: Collection[Agent] = ()
) -> Iterator[BrokenRule]:
    """Yield everything that is wrong with a farm.

    Args:
        farm: The farm.
        taken: Addresses of this director and its gateways, each with a description ("the gateway
            on eth0"); no VIP and no real server may use them.
        agents: Agents that have joined.
    """
    for service in farm.services.values():
        for problem in _service(service, farm):
            yield ObjectId(Kind.SERVICE, service.name), problem
    yield from _sorry_servers(farm)
    yield from table_too_large(farm)
    for pool in farm.pools.values():
        for problem in pool_problems(pool):
            yield ObjectId(Kind.POOL, pool.name), problem
    for problem in _directors(farm):
        yield ObjectId(Kind.DIRECTORS), problem
    for problem in _settings(farm.settings):
        yield ObjectId(Kind.SETTINGS), problem
    yield from _tunnels(farm)
    for agent in agents:
        for problem in _agent(agent):
            yield ObjectId(Kind.AGENT, agent.name), problem
    yield from _agents_match_declared_servers(agents, farm)
    yield from broken_tunnel_rules(farm, agents)
    yield from broken_health_rules(farm)
    yield from _keys_are_unique(farm)
    yield from _addresses_have_one_meaning(farm, taken, agents)


def _tunnels(farm: Farm) -> Iterator[BrokenRule]:
    for tunnel in farm.tunnels.values():
        for problem in (*name_problems(tunnel.name), *tunnel_problems(tunnel)):
            yield ObjectId(Kind.TUNNEL, tunnel.name), problem
    for name, problem in clashes(farm.tunnels):
        yield ObjectId(Kind.TUNNEL, name), problem


def _service(service: Service, farm: Farm) -> Iterator[Problem]:
    yield from name_problems(service.name)
    yield from unicast_problems("/vip", service.vip)
    yield from _selector(service, farm.settings)
    yield from _scheduler(service)
    if service.persistence:
        yield from _persistence(service.persistence, family_of(service.vip).bits)
    if service.pool not in farm.pools:
        yield Problem("/pool", f"there is no pool {service.pool!r}", _known(farm.pools))
    elif service.sorry_server:
        yield from unicast_problems("/sorry_server", service.sorry_server)


def _known(pools: Collection[str]) -> str:
    if not pools:
        return "none yet: add the pool first, or both at once"
    more = f" and {len(pools) - MAX_NAMED} more" if len(pools) > MAX_NAMED else ""
    return ", ".join(islice(pools, MAX_NAMED)) + more


def _sorry_servers(farm: Farm) -> Iterator[BrokenRule]:
    """Yield sorry servers that are members of their service's pool."""
    by_pool: dict[str, list[tuple[str, IPAddress]]] = {}
    for service in farm.services.values():
        if service.sorry_server and service.pool in farm.pools:
            by_pool.setdefault(service.pool, []).append((service.name, service.sorry_server))
    for pool, sorry_servers in by_pool.items():
        servers = {server.address: server.name for server in farm.pools[pool].real_servers}
        for name, address in sorry_servers:
            if address in servers:
                detail = f"{address} is the address of {servers[address]} in the pool itself"
                problem = Problem("/sorry_server", detail, "a server outside the pool")
                yield ObjectId(Kind.SERVICE, name), problem


def _selector(service: Service, settings: Settings) -> Iterator[Problem]:
    if service.fwmark is None:
        if not service.ports:
            yield Problem("/ports", "a service needs ports, or a fwmark", f"1 to {MAX_PORT} each")
        if service.protocol is None:
            yield Problem("/protocol", "a service with ports needs a protocol", "tcp, udp, sctp")
        for index, port in enumerate(service.ports):
            yield from range_problems(f"/ports/{index}", port, 1, MAX_PORT)
        return
    if service.ports:
        yield Problem("/ports", "a service has ports or a fwmark, not both", "leave one out")
    if service.protocol is not None:
        yield Problem("/protocol", "a fwmark covers every protocol", "leave it out")
    yield from range_problems("/fwmark", service.fwmark, 1, MAX_MARK)
    if service.fwmark in settings.probe_marks:
        yield Problem(
            "/fwmark",
            f"{service.fwmark} is in the range {settings.probe_marks} kept for health checks",
            "a mark outside it, or another settings.probe_marks",
        )


def _scheduler(service: Service) -> Iterator[Problem]:
    if service.scheduler not in SCHEDULERS:
        yield Problem("/scheduler", f"{service.scheduler!r} is no scheduler", ", ".join(SCHEDULERS))
        return
    allowed = [*SCHEDULER_FLAGS.get(service.scheduler, ())]
    if service.protocol in (IpProtocol.UDP, None):
        allowed.append("ops")
    for flag in sorted(service.flags or ()):
        if flag not in allowed:
            yield Problem(
                "/flags",
                f"{service.scheduler} over {service.protocol or 'a fwmark'} has no flag {flag!r}",
                ", ".join(allowed) or "none",
            )


def _persistence(persistence: Persistence, bits: int) -> Iterator[Problem]:
    timeout_s = persistence.timeout_s
    if not 1 <= timeout_s <= MAX_TIMEOUT_S:
        yield Problem("/persistence/timeout", f"{timeout_s} s is out of range", "1s to 31d")
    yield from range_problems("/persistence/netmask", persistence.prefix_length, 1, bits)


def _agent(agent: Agent) -> Iterator[Problem]:
    yield from name_problems(agent.name)
    yield from unicast_problems("/address", agent.address)
    yield from range_problems("/weight", agent.weight, 0, MAX_WEIGHT)


def _agents_match_declared_servers(agents: Collection[Agent], farm: Farm) -> Iterator[BrokenRule]:
    by_pool: dict[str, dict[str, Agent]] = {}
    for agent in agents:
        if agent.membership is not Membership.LEFT:
            for name in agent.pools:
                by_pool.setdefault(name, {})[agent.name] = agent
    for name in (name for name in by_pool if name in farm.pools):
        for index, server in enumerate(farm.pools[name].real_servers):
            joined = by_pool[name].get(server.name)
            if joined and joined.address != server.address:
                detail = f"agent {joined.name} of this pool is at {joined.address}"
                pointer = f"/real_servers/{index}/name"
                problem = Problem(pointer, detail, "another name, or that address")
                yield ObjectId(Kind.POOL, name), problem


def broken_override_rules(override: Override) -> Iterator[Problem]:
    """Yield everything that is wrong with run-time settings of a server."""
    if override.weight is not None:
        yield from range_problems("/weight", override.weight, 0, MAX_WEIGHT)
    if override.deadline:
        yield from _deadline(override, override.deadline)


def _deadline(override: Override, deadline: Deadline) -> Iterator[Problem]:
    if override.state is not AdministrativeState.DRAINING:
        yield Problem("/deadline", "only a drain has a deadline", "with the state draining")
        return
    left_s = (deadline.at - override.since).total_seconds()
    if left_s > MAX_TIMEOUT_S:
        yield Problem("/deadline", f"{format_utc(deadline.at)} is too far ahead", "up to 31d")
    if left_s < 0 and deadline.then is AtDeadline.CUT:
        yield Problem("/deadline", f"{format_utc(deadline.at)} is in the past", "a future time")


def _directors(farm: Farm) -> Iterator[Problem]:
    owners: dict[IPAddress, str] = {}
    for index, director in enumerate(farm.directors.values()):
        yield from (problem.below(f"/{index}") for problem in name_problems(director.name))
        for position, address in enumerate(director.addresses):
            pointer = f"/{index}/addresses/{position}"
            yield from unicast_problems(pointer, address)
            if address in owners:
                detail = f"{address} is already an address of director {owners[address]}"
                yield Problem(pointer, detail, "each address once")
            owners.setdefault(address, director.name)


def _settings(settings: Settings) -> Iterator[Problem]:
    timeouts = {
        "tcp": settings.tcp_timeout_s,
        "tcp_fin": settings.tcp_fin_timeout_s,
        "udp": settings.udp_timeout_s,
    }
    for name, value_s in timeouts.items():
        if value_s is not None and not 1 <= value_s <= MAX_TIMEOUT_S:
            yield Problem(f"/timeouts/{name}", f"{value_s} s is out of range", "1s to 31d")
    for name, value in settings.sysctls.items():
        if name not in SYSCTL_RANGES:
            yield Problem(
                "/sysctls/" + name.replace("~", "~0").replace("/", "~1"),  # RFC 6901, 3
                f"lvsctl does not set net.ipv4.vs.{name}",
                ", ".join(SYSCTL_RANGES),
            )
        else:
            yield from range_problems(f"/sysctls/{name}", value, *SYSCTL_RANGES[name])
    marks = settings.probe_marks
    yield from range_problems("/probe_marks", marks.first, 1, MAX_MARK)
    yield from range_problems("/probe_marks", marks.last, marks.first, MAX_MARK)
    ports = settings.probe_ports
    yield from range_problems("/probe_ports", ports.first, MIN_PROBE_PORT, MAX_PORT)
    yield from range_problems("/probe_ports", ports.last, ports.first, MAX_PORT)


def _keys_are_unique(farm: Farm) -> Iterator[BrokenRule]:
    owners: dict[ServiceKey, str] = {}
    for service in farm.services.values():
        if service.fwmark is None and service.protocol is None:
            continue
        for index, key in enumerate(service_keys(service)):
            if key not in owners:
                owners[key] = service.name
                continue
            pointer = "/fwmark" if isinstance(key, FwmarkKey) else f"/ports/{index}"
            detail = f"{key} already belongs to service {owners[key]}"
            yield ObjectId(Kind.SERVICE, service.name), Problem(pointer, detail, "each once")


def _addresses_have_one_meaning(
    farm: Farm, taken: Mapping[IPAddress, str], agents: Collection[Agent]
) -> Iterator[BrokenRule]:
    directors: Mapping[IPAddress, str] = {
        **taken,
        **{a: f"director {d.name}" for d in farm.directors.values() for a in d.addresses},
    }
    sorry_servers = {s.name: s.sorry_server for s in farm.services.values() if s.sorry_server}
    servers: dict[IPAddress, str] = {
        **{address: f"the sorry server of {name}" for name, address in sorry_servers.items()},
        **{agent.address: f"agent {agent.name}" for agent in agents},
    }
    vips = {service.vip for service in farm.services.values()}
    for pool, index, server in _servers_at(vips.union(directors), farm):
        servers[server.address] = f"real server {pool.name}/{server.name}"
        for problem in _is_not_director(server.address, directors):
            yield ObjectId(Kind.POOL, pool.name), problem.below(f"/real_servers/{index}/address")
    for agent in agents:
        for problem in _is_not_director(agent.address, directors):
            yield ObjectId(Kind.AGENT, agent.name), problem.below("/address")
    for name, address in sorry_servers.items():
        for problem in _is_not_director(address, directors):
            yield ObjectId(Kind.SERVICE, name), problem.below("/sorry_server")
    for service in farm.services.values():
        what = directors.get(service.vip) or servers.get(service.vip)
        if what:
            detail = f"{service.vip} is the address of {what}"
            problem = Problem("/vip", detail, "an address of its own")
            yield ObjectId(Kind.SERVICE, service.name), problem


def _servers_at(
    addresses: Collection[IPAddress], farm: Farm
) -> Iterator[tuple[Pool, int, RealServer]]:
    """Yield the declared servers at some addresses, with their pools and positions."""
    numbers = {*map(int, addresses)}  # looked up in a third of the time
    for pool in farm.pools.values():
        for index, server in enumerate(pool.real_servers):
            if int(server.address) in numbers and server.address in addresses:
                yield pool, index, server


def _is_not_director(address: IPAddress, directors: Mapping[IPAddress, str]) -> Iterator[Problem]:
    if address in directors:
        detail = f"{address} is the address of {directors[address]}"
        yield Problem("", detail, "the real server's own address")
