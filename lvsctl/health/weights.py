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
from lvsctl.reasons import servers as reasons
from lvsctl.reasons.reason import Reason, Reasons


@dataclass(frozen=True, slots=True)
class Health:
    """Health of a server for one VIP, over all checks.

    Attributes:
        healthy: True if all checks pass; None if none is down and one has no verdict yet.
        since: When it last changed; None if it was so before checking began.
        reasons: Why it is not healthy, and why its verdict is frozen.
    """

    healthy: bool | None
    since: datetime | None = None
    reasons: Reasons = ()


UNCHECKED_POOL = Health(healthy=True)
"""In a pool without checks every server serves."""

ASSUMED_HEALTHY = Health(healthy=True)
"""A server that was in service before checking began."""

NOT_CHECKED = Health(healthy=None, reasons=(reasons.NOT_CHECKED(),))
"""A server whose first probe has not ended."""


def health_of(verdicts: Collection[Verdict]) -> Health:
    """Combine the verdicts of all checks of one server for one VIP."""
    frozen = dict.fromkeys(
        reasons.PROBES_FROZEN(why=verdict.frozen.reason) for verdict in verdicts if verdict.frozen
    )
    for healthy, earliest in ((False, True), (None, False)):
        said = [verdict for verdict in verdicts if verdict.healthy is healthy]
        if said:
            times = [verdict.since for verdict in said if verdict.since]
            since = (min if earliest else max)(times, default=None)
            why = dict.fromkeys(reason for verdict in said for reason in verdict.reasons)
            return Health(healthy, since, (*why, *frozen))
    rose = [verdict.since for verdict in verdicts if verdict.since]
    return Health(healthy=True, since=max(rose, default=None), reasons=tuple(frozen))


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
        reasons: How its health affects the weight; empty if it does not.
    """

    weight: int | None
    reasons: Reasons = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of a pool for one VIP.

    Attributes:
        servers: By name.
        healthy: Number of healthy servers that take new connections.
        sorry: The sorry server takes the new connections.
        panic: Why unhealthy servers serve; None if none does.
        next_change: When slow start next changes a weight, in UTC; None if it does not.
    """

    servers: Mapping[str, Effective]
    healthy: int
    sorry: bool
    panic: Reason | None
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
    panic = None if sorry else _panic(healthy, down, policy.panic_below)
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


def _panic(healthy: int, down: int, below_percent: int) -> Reason | None:
    """Return why servers that are down serve; None if they do not.

    Servers without a verdict do not count: they are out until their first pass.
    """
    judged = healthy + down
    if not down or (healthy and healthy * 100 >= below_percent * judged):
        return None
    if not healthy:
        return reasons.PANIC(judged=judged)
    return reasons.PANIC_BELOW(healthy=healthy, judged=judged, below=below_percent)


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


def _effective(
    server: Server, ramp: _Ramp | None, on_down: OnDown, panic: Reason | None
) -> Effective:
    weight, health = server.weight, server.health
    if not weight:
        return Effective(weight)
    if health.healthy is None:
        return Effective(None, health.reasons)
    if health.healthy:
        if ramp is None:
            return Effective(weight, health.reasons)
        least = max(1, weight * ramp.step // ramp.steps)
        step = reasons.SLOW_START(step=ramp.step, steps=ramp.steps)
        return Effective(least, (step, *health.reasons))
    down = reasons.DOWN(why=health.reasons)
    if panic:
        return Effective(weight, (reasons.SERVES_IN_PANIC(panic=panic, down=down),))
    return Effective(0 if on_down is OnDown.QUIESCE else None, (down,))


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
