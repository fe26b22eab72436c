"""How a pool reacts to the health of its servers."""

from typing import Annotated, Literal, Self

from pydantic import Field

from api.schemas.base import Document
from api.schemas.fields import Duration
from lvsctl.farm import policy
from lvsctl.farm.rules import health as rules

OnDown = Literal["remove", "quiesce"]


class SlowStart(Document):
    """A server that comes up gets its weight in equal steps."""

    over: Duration = Field(description="Time from the first step to the full weight, 1s to 1h.")
    steps: Annotated[
        int, Field(json_schema_extra={"minimum": rules.MIN_STEPS, "maximum": rules.MAX_STEPS})
    ] = Field(default=10, description="Number of steps; mh and sh move clients at each.")

    def value(self) -> policy.SlowStart:
        """Return the value that the document represents."""
        return policy.SlowStart(self.over, self.steps)

    @classmethod
    def of(cls, value: policy.SlowStart) -> Self:
        """Return the document of a slow start."""
        return cls.model_construct(over=value.over_s, steps=value.steps)


class Quorum(Document):
    """Minimum number of healthy servers."""

    servers: Annotated[
        int, Field(json_schema_extra={"minimum": 1, "maximum": rules.MAX_SERVERS})
    ] = Field(description="Quorum is lost with fewer healthy servers than this.")
    hysteresis: Annotated[
        int, Field(json_schema_extra={"minimum": 0, "maximum": rules.MAX_SERVERS})
    ] = Field(default=0, description="Quorum is regained with this many servers more.")
    withdraw: bool = Field(
        default=True, description="Withdraw the VIP from this director while quorum is lost."
    )

    def value(self) -> policy.Quorum:
        """Return the value that the document represents."""
        return policy.Quorum(self.servers, self.hysteresis, self.withdraw)

    @classmethod
    def of(cls, value: policy.Quorum) -> Self:
        """Return the document of a quorum."""
        return cls.model_construct(
            servers=value.servers, hysteresis=value.hysteresis, withdraw=value.withdraw
        )


Percent = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": rules.PERCENT})]
