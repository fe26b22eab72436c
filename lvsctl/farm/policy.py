"""What follows for a pool when its servers fall and rise. Values."""

import enum
from dataclasses import dataclass
from datetime import timedelta


class OnDown(enum.StrEnum):
    """What becomes of a server that is down.

    REMOVE takes it out of the table, where ``expire_nodest_conn`` makes its clients connect anew
    at once; QUIESCE keeps it at weight 0, and its connections with it.
    """

    REMOVE = "remove"
    QUIESCE = "quiesce"


@dataclass(frozen=True, slots=True)
class SlowStart:
    """A server that rises gets its weight in equal steps, the first at once.

    Attributes:
        over_s: From the first step to the last, which is the whole weight.
        steps: How many, at least 2.
    """

    over_s: int
    steps: int = 10

    @property
    def step_length(self) -> timedelta:
        """From one step to the next."""
        return timedelta(seconds=self.over_s) / (self.steps - 1)


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many servers have to be healthy.

    Attributes:
        servers: With fewer that take new connections the quorum is lost.
        hysteresis: It is back only with so many more.
        withdraw: Without it the VIP is withdrawn from this director.
    """

    servers: int
    hysteresis: int = 0
    withdraw: bool = True


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """What follows from the health of a pool's servers.

    Attributes:
        on_down: What becomes of a server that is down.
        slow_start: None gives a server that rises its whole weight at once.
        quorum: None wants none.
        panic_below: With a smaller share of healthy servers, in percent, those that are down
            serve as well; 0 only with none.
    """

    on_down: OnDown = OnDown.REMOVE
    slow_start: SlowStart | None = None
    quorum: Quorum | None = None
    panic_below: int = 0


DEFAULT_HEALTH_POLICY = HealthPolicy()
