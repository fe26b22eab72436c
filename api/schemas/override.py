"""What a person sets at run time about a real server."""

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field

from api.schemas.base import Document
from api.schemas.fields import Reason, Weight
from lvsctl.status import AdministrativeState
from lvsctl.status import Override as OverrideValue

State = Literal["enabled", "draining", "disabled"]


class Override(Document):
    """An administrative state and a run-time weight; the farm's declaration stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "draining", "reason": "new disk"}]}
    )

    state: State = Field(
        default="enabled",
        description="draining keeps its connections and gets no new ones, disabled is out.",
    )
    weight: Weight | None = Field(
        default=None, description="Replaces the declared weight; left out, that holds."
    )
    reason: Reason = Field(default="", description="Why, for those who wonder.")

    def value(self, by: str, since: datetime) -> OverrideValue:
        """Return what the document stands for.

        Args:
            by: Who sets it.
            since: When, in UTC.
        """
        return OverrideValue(AdministrativeState(self.state), self.weight, self.reason, by, since)


class OverrideAnswer(Override):
    """An override with who set it."""

    by: str = Field(description="Who set it.")
    since: str = Field(description="When, in UTC.", json_schema_extra={"format": "date-time"})

    @classmethod
    def of(cls, value: OverrideValue) -> Self:
        """Return the document of an override."""
        return cls.model_construct(
            state=str(value.state),
            weight=value.weight,
            reason=value.reason,
            by=value.by,
            since=utc_text(value.since),
        )


def utc_text(at: datetime) -> str:
    """Write a time in UTC as ISO 8601 has it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
