"""From verdicts to the weights that the servers of a pool have for one VIP. Pure.

Administrative state comes first: a server that a person or its agent has taken out, or that gets
no new connections, stays so whatever its health. Of the others the healthy ones serve. Where none
is healthy the sorry server takes over; without one, or where too few are, all that were found
down serve after all (panic), since a broken check is likelier than a farm that died at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lvsctl.farm.policy import HealthPolicy, OnDown, Quorum, SlowStart
from lvsctl.health.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Health:
    """What all checks together say about a server for one VIP.

    Attributes:
        healthy: True when all of them do; None where one has no verdict yet and none is down.
        since: Since when; None where it was so before checking began.
        reason: Why not, and why that cannot change now, for a person; empty where it is healthy
            and its probes count.
    """

    healthy: bool | None
    since: datetime | None = None
    reason: str = ""


UNCHECKED_POOL = Health(healthy=True)
"""A pool without checks: what is declared serves."""

ASSUMED_HEALTHY = Health(healthy=True)
"""A server that served before it was checked."""

NOT_CHECKED = Health(healthy=None, reason="not checked yet")
"""A server whose first probe has not ended."""


def health_of(verdicts: Collection[Verdict]) -> Health:
    """Return what the verdicts of all checks of one server for one VIP come to."""
    frozen = dict.fromkeys(
        f"its probes count for nothing now: {verdict.frozen.reason}"
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
    """A server of a pool as it is apart from its health.

    Attributes:
        weight: What declaration, administrative state and agent give it; None where they keep it
            out of the table, 0 where it gets no new connections.
        health: For the VIP that is looked at.
    """

    weight: int | None
    health: Health


@dataclass(frozen=True, slots=True)
class Effective:
    """The weight of a server in the table.

    Attributes:
        weight: None when it is not in the table.
        reason: What its health has to do with it; empty where nothing.
    """

    weight: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a pool comes to for one VIP.

    Attributes:
        servers: By name.
        healthy: How many are healthy and take new connections.
        sorry: The sorry server takes the new connections.
        panic: Why servers serve that are not healthy; empty where none does.
        next_change: When a weight changes by itself, in UTC; None when it does not.
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
        policy: What the pool says about them.
        has_sorry_server: The service has one.
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
    """Return why those that are down serve after all; empty where they do not.

    Servers without a verdict count for nothing here: they are out until their first pass.
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
    """Return how far a server has come since it rose; None when all the way."""
    rose = server.health.since
    if slow_start is None or rose is None:
        return None
    length = slow_start.step_length
    step = 1 + max(0, (now - rose) // length)  # 0: a clock that was set back starts it again
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
    """Tell whether enough servers are healthy; once lost, it takes more to have it again.

    Args:
        quorum: How many are enough.
        healthy: How many are healthy and take new connections.
        had_quorum: Whether they were enough before; None where that is not known.
    """
    if had_quorum is False:
        return healthy >= quorum.servers + quorum.hysteresis
    return healthy >= quorum.servers
