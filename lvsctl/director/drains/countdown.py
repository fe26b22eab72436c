"""The remaining connections of draining servers. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lvsctl.director.state import State
from lvsctl.farm.members import members
from lvsctl.farm.status import AdministrativeState, ServerId
from lvsctl.ipvs.table import AddressKey, DestinationCounters, ServiceKey
from lvsctl.net import IPAddress, IpProtocol

WINDOW_S = 60.0
"""Time that the estimate is based on."""

FALLBACKS = frozenset({"mh-fallback", "sh-fallback"})

Connections = Mapping[tuple[str, IPAddress], int]
"""Connections, by service and address of the server."""


def drained(state: State) -> frozenset[ServerId]:
    """Return the draining servers."""
    return frozenset(
        server
        for server, override in state.status.overrides.items()
        if override.state is AdministrativeState.DRAINING and server.pool in state.farm.pools
    )


def services_of(state: State, servers: frozenset[ServerId]) -> frozenset[str]:
    """Return the services that use the servers' pools."""
    return state.index.users_of({server.pool for server in servers})


def connections_of(
    state: State, servers: frozenset[ServerId], found: Connections
) -> Mapping[ServerId, int]:
    """Return the remaining connections of each server over all services of its pool."""
    return {
        member.id: sum(
            found.get((service, member.address), 0) for service in state.index.users.get(pool, ())
        )
        for pool in {server.pool for server in servers}
        for member in members(state.farm.pools[pool], state.status)
        if member.id in servers
    }


def drain_warnings(state: State, server: ServerId) -> Iterator[str]:
    """Yield warnings about clients of a draining server that are treated unexpectedly."""
    farm = state.farm
    services = [farm.services[name] for name in state.index.users.get(server.pool, ())]
    for service in services:
        if service.persistence and not farm.settings.effective_sysctls["expire_quiescent_template"]:
            yield (
                f"known clients of the persistent service {service.name} still come here: "
                "settings.sysctls.expire_quiescent_template is 0"
            )
    for service in services:
        if service.scheduler in ("mh", "sh") and not service.effective_flags & FALLBACKS:
            yield (
                f"clients of service {service.name} that hash to this server are refused: its "
                f"scheduler {service.scheduler} has no flag {service.scheduler}-fallback"
            )


def open_connections(key: ServiceKey, counters: DestinationCounters) -> int:
    """Return the connections that a drain waits for: established, and UDP until it expires.

    The kernel counts opening and closing TCP connections, and all of UDP, as inactive.
    """
    if isinstance(key, AddressKey) and key.protocol is IpProtocol.UDP:
        return counters.active_connections + counters.inactive_connections
    return counters.active_connections


@dataclass(frozen=True, slots=True)
class Countdown:
    """The recent history of a draining server's connections.

    Attributes:
        counts: Monotonic times with the counts then, oldest first; never empty.
    """

    counts: tuple[tuple[float, int], ...]

    @property
    def connections(self) -> int:
        """The latest count."""
        return self.counts[-1][1]

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until none remain; None if their number is not falling.

        It is extrapolated, as clients may stay as long as they like.
        """
        (first_s, first), (last_s, last) = self.counts[0], self.counts[-1]
        if not last:
            return 0.0
        if last >= first or last_s <= first_s:
            return None
        return last * (last_s - first_s) / (first - last)

    def then(self, at_s: float, connections: int) -> "Countdown":
        """Return the countdown with a new count, and without those that are too old."""
        kept = tuple(self._recent(at_s))
        return Countdown((*kept, (at_s, connections)))

    def _recent(self, at_s: float) -> Iterator[tuple[float, int]]:
        return (count for count in self.counts if count[0] >= at_s - WINDOW_S)
