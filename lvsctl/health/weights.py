"""Turns verdicts into the weights of a pool's servers for one VIP. Pure.

Administrative state comes first: a server that a person or its agent has disabled or drained stays
so whatever its health. Of the others, the healthy ones serve. If none is healthy, the sorry server
takes over. Without one, or below ``panic_below``, the servers that are down serve as well (panic):
a broken check is more likely than a whole farm dying at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lvsctl.farm.policy import HealthPolicy, OnDown, Quorum, SlowStart
from lvsctl.health.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Health:
    """Health of a server for one VIP, over all checks.

    Attributes:
        healthy: True if all checks pass; None if none is down and one has no verdict yet.
        since: When it last changed; None if it was so before checking began.
        reason: Why it is not healthy, or why its verdict is frozen, for a person; else empty.
    """

    healthy: bool | None
    since: datetime | None = None
    reason: str = ""


UNCHECKED_POOL = Health(healthy=True)
"""In a pool without checks every server serves."""

ASSUMED_HEALTHY = Health(healthy=True)
"""A server that was in service before checking began."""

NOT_CHECKED = Health(healthy=None, reason="not checked yet")
"""A server whose first probe has not ended."""


def health_of(verdicts: Collection[Verdict]) -> Health:
    """Combine the verdicts of all checks of one server for one VIP."""
    frozen = dict.fromkeys(
        f"its probes do not count at present: {verdict.frozen.reason}"
        for verdict in verdicts
        if verdict.frozen
    )
    for healthy, earliest in ((False, True), (None, False)):
        said = [verdict for verdict in verdicts if verdict.healthy is healthy]
        if said:
            times = [verdict.since for verdict in said if verdict.since]
            since = (min if earliest else max)(times, default=None)
            reasons = dict.fromkeys(verdict.reason for verdict in said)
            return Health(healthy, since, "; ".join([*reasons, *frozen]))
    rose = [verdict.since for verdict in verdicts if verdict.since]
    return Health(healthy=True, since=max(rose, default=None), reason="; ".join(frozen))


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a pool before its health is applied.

    Attributes:
        weight: By declaration, administrative state and agent; None keeps it out of the table, 0
            gives it no new connections.
        health: For the VIP.
    """

    weight: int | None
    health: Health


@dataclass(frozen=True, slots=True)
class Effective:
    """The weight of a server in the table.

    Attributes:
        weight: None if it is not in the table.
        reason: How its health affects the weight, for a person; empty if it does not.
    """

    weight: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of a pool for one VIP.

    Attributes:
        servers: By name.
        healthy: Number of healthy servers that take new connections.
        sorry: The sorry server takes the new connections.
        panic: Why unhealthy servers serve, for a person; empty if none does.
        next_change: When slow start next changes a weight, in UTC; None if it does not.
    """

    servers: Mapping[str, Effective]
    healthy: int
    sorry: bool
    panic: str
    next_change: datetime | None


def effective_weights(
    servers: Mapping[str, Server],
    policy: HealthPolicy,
    *,
    has_sorry_server: bool,
    now: datetime,
) -> Weights:
    """Return the weights of a pool's servers for one VIP.

    Args:
        servers: By name.
        policy: Of the pool.
        has_sorry_server: Whether the service has one.
        now: In UTC.
    """
    eligible = [server.health.healthy for server in servers.values() if server.weight]
    healthy = eligible.count(True)
    down = eligible.count(False)
    sorry = has_sorry_server and not healthy
    panic = "" if sorry else _panic(healthy, down, policy.panic_below)
    ramps = {
        name: _ramp(server, policy.slow_start, now)
        for name, server in servers.items()
        if server.weight and server.health.healthy
    }
    return Weights(
        servers={
            name: _effective(server, ramps.get(name), policy.on_down, panic)
            for name, server in servers.items()
        },
        healthy=healthy,
        sorry=sorry,
        panic=panic,
        next_change=min((ramp.until for ramp in ramps.values() if ramp), default=None),
    )


def _panic(healthy: int, down: int, below_percent: int) -> str:
    """Return why servers that are down serve; empty if they do not.

    Servers without a verdict do not count: they are out until their first pass.
    """
    judged = healthy + down
    if not down or (healthy and healthy * 100 >= below_percent * judged):
        return ""
    if not healthy:
        return f"panic: none of {judged} servers is healthy, so all of them serve"
    return (
        f"panic: {healthy} of {judged} servers are healthy, less than {below_percent} %, "
        "so all of them serve"
    )


@dataclass(frozen=True, slots=True)
class _Ramp:
    step: int
    steps: int
    until: datetime


def _ramp(server: Server, slow_start: SlowStart | None, now: datetime) -> _Ramp | None:
    """Return the slow-start step of a server; None once it has its full weight."""
    rose = server.health.since
    if slow_start is None or rose is None:
        return None
    length = slow_start.step_length
    step = 1 + max(0, (now - rose) // length)  # the clock may have been set back
    if step >= slow_start.steps:
        return None
    return _Ramp(step, slow_start.steps, rose + step * length)


def _effective(server: Server, ramp: _Ramp | None, on_down: OnDown, panic: str) -> Effective:
    weight, health = server.weight, server.health
    if not weight:
        return Effective(weight)
    if health.healthy is None:
        return Effective(None, health.reason)
    if health.healthy:
        if ramp is None:
            return Effective(weight, health.reason)
        least = max(1, weight * ramp.step // ramp.steps)
        step = f"slow start, step {ramp.step} of {ramp.steps}"
        return Effective(least, "; ".join(filter(None, (step, health.reason))))
    why = f"down: {health.reason}"
    if panic:
        return Effective(weight, f"{panic}; this one is {why}")
    return Effective(0 if on_down is OnDown.QUIESCE else None, why)


def has_quorum(quorum: Quorum, healthy: int, *, had_quorum: bool | None) -> bool:
    """Tell whether enough servers are healthy, with hysteresis once quorum was lost.

    Args:
        quorum: Required number of servers.
        healthy: Number of healthy servers that take new connections.
        had_quorum: Whether there was quorum before; None if unknown.
    """
    if had_quorum is False:
        return healthy >= quorum.servers + quorum.hysteresis
    return healthy >= quorum.servers
