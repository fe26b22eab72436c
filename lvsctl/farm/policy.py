"""How a pool reacts to the health of its servers. Values."""

import enum
from dataclasses import dataclass
from datetime import timedelta


class OnDown(enum.StrEnum):
    """What to do with a server that is down.

    REMOVE takes it out of the table, and ``expire_nodest_conn`` makes its clients reconnect at
    once; QUIESCE keeps it at weight 0, with its connections.
    """

    REMOVE = "remove"
    QUIESCE = "quiesce"


@dataclass(frozen=True, slots=True)
class SlowStart:
    """A server that comes up gets its weight in equal steps, the first at once.

    Attributes:
        over_s: Time from the first step to the last, which is the full weight.
        steps: Number of steps, at least 2.
    """

    over_s: int
    steps: int = 10

    @property
    def step_length(self) -> timedelta:
        """Time from one step to the next."""
        return timedelta(seconds=self.over_s) / (self.steps - 1)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Minimum number of healthy servers.

    Attributes:
        servers: Quorum is lost if fewer healthy servers take new connections.
        hysteresis: This many more are needed to regain it.
        withdraw: Withdraw the VIP from this director while quorum is lost.
    """

    servers: int
    hysteresis: int = 0
    withdraw: bool = True


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """How a pool reacts to the health of its servers.

    Attributes:
        on_down: What to do with a server that is down.
        slow_start: None gives a server that comes up its full weight at once.
        quorum: None requires none.
        panic_below: Below this percentage of healthy servers, those that are down serve as well;
            0: only if none is healthy.
    """

    on_down: OnDown = OnDown.REMOVE
    slow_start: SlowStart | None = None
    quorum: Quorum | None = None
    panic_below: int = 0


DEFAULT_HEALTH_POLICY = HealthPolicy()
