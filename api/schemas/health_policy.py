"""What follows from the health of a pool's servers, as people write it."""

from typing import Annotated, Literal, Self

from pydantic import Field

from api.schemas.base import Document
from api.schemas.fields import Duration
from lvsctl.farm import policy
from lvsctl.farm.rules import health as rules

OnDown = Literal["remove", "quiesce"]


class SlowStart(Document):
    """A server that rises gets its weight in equal steps."""

    over: Duration = Field(description="From the first step to the whole weight, 1s to 1h.")
    steps: Annotated[
        int, Field(json_schema_extra={"minimum": rules.MIN_STEPS, "maximum": rules.MAX_STEPS})
    ] = Field(default=10, description="How many; mh and sh move clients at each.")

    def value(self) -> policy.SlowStart:
        """Return what the document stands for."""
        return policy.SlowStart(self.over, self.steps)

    @classmethod
    def of(cls, value: policy.SlowStart) -> Self:
        """Return the document of a slow start."""
        return cls.model_construct(over=value.over_s, steps=value.steps)


class Quorum(Document):
    """How many servers have to be healthy."""

    servers: Annotated[
        int, Field(json_schema_extra={"minimum": 1, "maximum": rules.MAX_SERVERS})
    ] = Field(description="With fewer healthy ones it is lost.")
    hysteresis: Annotated[
        int, Field(json_schema_extra={"minimum": 0, "maximum": rules.MAX_SERVERS})
    ] = Field(default=0, description="It is back only with this many more.")
    withdraw: bool = Field(
        default=True, description="Without it the VIP is withdrawn from this director."
    )

    def value(self) -> policy.Quorum:
        """Return what the document stands for."""
        return policy.Quorum(self.servers, self.hysteresis, self.withdraw)

    @classmethod
    def of(cls, value: policy.Quorum) -> Self:
        """Return the document of a quorum."""
        return cls.model_construct(
            servers=value.servers, hysteresis=value.hysteresis, withdraw=value.withdraw
        )


Percent = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": rules.PERCENT})]
