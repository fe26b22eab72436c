"""Run-time settings of a real server."""

from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import ConfigDict, Field

from api.schemas.base import Document
from api.schemas.fields import Duration, Reason, Time, Weight
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.rules.farm import MAX_TIMEOUT_S
from lvsctl.farm.status import AdministrativeState, AtDeadline, Deadline
from lvsctl.farm.status import Override as OverrideValue
from lvsctl.times import format_utc

State = Literal["enabled", "draining", "disabled"]
AtDeadlineName = Literal["cut", "keep"]


class Override(Document):
    """Administrative state and run-time weight; the declaration in the farm does not change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"state": "draining", "reason": "new disk", "deadline_in": "60s"}]
        }
    )

    state: State = Field(
        default="enabled",
        description="draining gets no new connections and keeps existing ones; disabled is removed "
        "from the table.",
    )
    weight: Weight | None = Field(
        default=None, description="Overrides the declared weight; default: the declared weight."
    )
    reason: Reason = Field(default="", description="Reason, shown in status.")
    deadline: Time | None = Field(
        default=None,
        description="For draining: when at_deadline takes effect; default: never.",
    )
    deadline_in: Duration | None = Field(
        default=None,
        description="Instead of deadline, as time from now, by the director's clock: 1s to 31d.",
    )
    at_deadline: AtDeadlineName | None = Field(
        default=None,
        description="For connections that remain: cut (default) disables the server, so its "
        "clients can reconnect to another at once; keep lets them continue.",
    )

    def value(self, by: str, since: datetime) -> OverrideValue:
        """Return the value that the document represents.

        Args:
            by: Who sets it.
            since: When, in UTC.

        Raises:
            InvalidInput: The deadline is not valid.
        """
        state = AdministrativeState(self.state)
        return OverrideValue(state, self.weight, self.reason, by, since, self._deadline(since))

    def _deadline(self, now: datetime) -> Deadline | None:
        if self.deadline is not None and self.deadline_in is not None:
            detail = "there is already a deadline"
            raise InvalidInput([Problem("/deadline_in", detail, "deadline or deadline_in")])
        if self.deadline_in is not None and not 1 <= self.deadline_in <= MAX_TIMEOUT_S:
            detail = f"{self.deadline_in} s is out of range"
            raise InvalidInput([Problem("/deadline_in", detail, "1s to 31d")])
        at = self.deadline if self.deadline_in is None else _whole_second(now, self.deadline_in)
        if at is not None:
            return Deadline(at, AtDeadline(self.at_deadline or AtDeadline.CUT))
        if self.at_deadline is not None:
            raise InvalidInput([Problem("/at_deadline", "there is no deadline", "leave it out")])
        return None


def _whole_second(now: datetime, seconds: int) -> datetime:
    """Return now plus seconds, rounded up to a whole second, as documents have no fractions."""
    at = now + timedelta(seconds=seconds)
    return at.replace(microsecond=0) + timedelta(seconds=1 if at.microsecond else 0)


class OverrideAnswer(Override):
    """An override, and who set it."""

    by: str = Field(description="Who set it.")
    since: str = Field(description="When, in UTC.", json_schema_extra={"format": "date-time"})

    @classmethod
    def of(cls, value: OverrideValue) -> Self:
        """Return the document of an override."""
        deadline = value.deadline
        return cls.model_construct(
            state=str(value.state),
            weight=value.weight,
            reason=value.reason,
            deadline=deadline.at if deadline else None,
            deadline_in=None,
            at_deadline=str(deadline.then) if deadline else None,
            by=value.by,
            since=format_utc(value.since),
        )
