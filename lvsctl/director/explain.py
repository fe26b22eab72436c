"""Which real server a client's connection goes to, and why. Pure."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from lvsctl.director.state import State
from lvsctl.farm.compile import service_keys
from lvsctl.farm.members import members
from lvsctl.ipvs.connections import Connection
from lvsctl.ipvs.hashing import (
    Candidate,
    maglev_choice,
    maglev_table,
    source_hash_choice,
)
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationKey,
    FwmarkKey,
    ServiceCounters,
    ServiceFlag,
    ServiceKey,
    VirtualService,
)
from lvsctl.net import IPAddress, IpProtocol

FALLBACK, PORT = ServiceFlag.SCHED1, ServiceFlag.SCHED2
"""What ``sh`` and ``mh`` mean by these flags."""


class Cause(enum.StrEnum):
    """What decides where a connection goes.

    CONNECTION: it exists. PERSISTENCE: its client was here before. HASH: the scheduler's table.
    SCHEDULER: the scheduler takes one of several, depending on what happened before. NOBODY: no
    real server takes it. NO_SERVICE: IPVS has no such virtual service.
    """

    CONNECTION = "connection"
    PERSISTENCE = "persistence"
    HASH = "hash"
    SCHEDULER = "scheduler"
    NOBODY = "nobody"
    NO_SERVICE = "no-service"


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection of a client to a VIP."""

    protocol: IpProtocol
    client: IPAddress
    client_port: int
    vip: IPAddress
    vip_port: int


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A virtual service as the kernel has it at one moment.

    Attributes:
        key: Of the service.
        service: With its destinations.
        order: Of its destinations in the kernel, the newest first.
        counters: Of its destinations.
        last_weights: What each destination has when it serves, by its address; ``mh`` keeps the
            places of one whose weight is 0.
    """

    key: ServiceKey
    service: VirtualService
    order: Sequence[DestinationKey]
    counters: ServiceCounters
    last_weights: Mapping[IPAddress, int]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a connection goes.

    Attributes:
        cause: What decides it.
        servers: One, or those that the scheduler chooses among; empty for nobody.
        entry: The kernel's connection or template that decides it; None where there is none.
        key: The virtual service; None where there is none.
        scheduler: Of that service; empty where there is none.
    """

    cause: Cause
    servers: Sequence[IPAddress] = ()
    entry: Connection | None = None
    key: ServiceKey | None = None
    scheduler: str = ""


def ways_in(state: State, flow: Flow) -> Mapping[ServiceKey, Mapping[IPAddress, int]]:
    """Return the keys of the services that may take a connection, with their servers' weights.

    A service of a firewall mark takes what an operator's firewall marks, which is not known here;
    it is tried where no service has the VIP's port.
    """
    key = AddressKey(flow.protocol, flow.vip, flow.vip_port)
    ways: dict[ServiceKey, Mapping[IPAddress, int]] = {key: {}}
    for name in state.index.vips.get(flow.vip, ()):
        service = state.farm.services[name]
        if service.fwmark is not None or key in service_keys(service):
            weights = _weights(state, service.pool)
            keys = [key] if service.fwmark is None else service_keys(service)
            ways |= dict.fromkeys(keys, weights)
    return ways


def _weights(state: State, pool: str) -> Mapping[IPAddress, int]:
    """Return what each server of a pool has when it serves, by its address."""
    weights: dict[IPAddress, int] = {}
    for member in members(state.farm.pools[pool], state.status):
        override = state.status.overrides.get(member.id)
        given = override.weight if override else None
        weights[member.address] = member.weight if given is None else given
    return weights


def explain(flow: Flow, view: ServiceView | None, entries: Iterable[Connection]) -> Explanation:
    """Return where a connection goes, as the kernel would decide it now.

    Args:
        flow: The connection.
        view: The virtual service that takes it; None without one.
        entries: The kernel's connections.
    """
    exact, template = _entries_of(flow, view, entries)
    key = view.key if view else None
    scheduler = view.service.config.scheduler if view else ""
    if exact:
        return Explanation(Cause.CONNECTION, (exact.server,), exact, key, scheduler)
    if view is None:
        return Explanation(Cause.NO_SERVICE)
    candidates = _candidates(view)
    available = tuple(each.address for each in candidates if each.is_available)
    # A threshold keeps no client away whom persistence brings.
    kept = {each.address for each in candidates if each.weight > 0}
    if template and template.server in kept:
        return Explanation(Cause.PERSISTENCE, (template.server,), template, key, scheduler)
    if scheduler in {"mh", "sh"}:
        chosen = _hashed(flow, view, candidates)
        if chosen is None:
            return Explanation(Cause.NOBODY, (), None, key, scheduler)
        return Explanation(Cause.HASH, (chosen.address,), None, key, scheduler)
    cause = Cause.SCHEDULER if available else Cause.NOBODY
    return Explanation(cause, available, None, key, scheduler)


def _entries_of(
    flow: Flow, view: ServiceView | None, entries: Iterable[Connection]
) -> tuple[Connection | None, Connection | None]:
    """Return the flow's own entry, and the template of its client's persistence."""
    exact = (str(flow.protocol), flow.client, flow.client_port, flow.vip, flow.vip_port)
    wanted = _template_of(flow, view)
    template = None
    for each in entries:
        found = (each.protocol, each.client, each.client_port, each.vip, each.vip_port)
        if found == exact:
            return each, None
        if found == wanted:
            template = each
    return None, template


def _template_of(
    flow: Flow, view: ServiceView | None
) -> tuple[str, IPAddress, int, IPAddress, int] | None:
    """Return what the kernel would name the template of a flow; None without persistence."""
    persistence = view.service.config.persistence if view else None
    if view is None or persistence is None:
        return None
    network = ip_network((flow.client, persistence.prefix_length), strict=False)
    if isinstance(view.key, FwmarkKey):
        mark = view.key.mark
        vip = IPv4Address(mark) if flow.vip.version == 4 else IPv6Address(mark << 96)  # noqa: PLR2004
        return "ip", network.network_address, 0, vip, 0
    protocol, port = str(flow.protocol), view.key.port
    return protocol, network.network_address, 0, flow.vip, port


def _candidates(view: ServiceView) -> tuple[Candidate, ...]:
    found = []
    for key in view.order:
        config = view.service.destinations.get(key)
        if config is None:
            continue  # it came after the table was read
        counters = view.counters.destinations.get(key)
        open_now = counters.active_connections + counters.inactive_connections if counters else 0
        found.append(
            Candidate(
                key.address,
                key.port,
                config.weight,
                config.weight or view.last_weights.get(key.address, 0),
                is_overloaded=0 < config.upper_threshold <= open_now,
            )
        )
    return tuple(found)


def _hashed(flow: Flow, view: ServiceView, candidates: tuple[Candidate, ...]) -> Candidate | None:
    flags = view.service.config.flags
    port = flow.client_port if PORT in flags else 0
    fallback = FALLBACK in flags
    if view.service.config.scheduler == "mh":
        return maglev_choice(maglev_table(candidates), flow.client, port, fallback=fallback)
    return source_hash_choice(candidates, flow.client, port, fallback=fallback)
