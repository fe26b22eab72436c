"""Mode of the director: whether it writes to the kernel."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from api.schemas.base import Document
from api.schemas.fields import Duration, Reason
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.rules.farm import MAX_TIMEOUT_S

ModeText = Literal["enforce", "observe"]


class ModeRequest(Document):
    """Mode of the director."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"mode": "observe", "for": "30m", "reason": "switch work"}]}
    )

    mode: ModeText = Field(description="enforce writes to the kernel, observe only reads it.")
    lasts_s: Duration | None = Field(
        default=None,
        alias="for",
        description="For observe: time until enforce resumes, 1s to 31d; default: no limit.",
    )
    reason: Reason = Field(default="", description="Reason, shown in status.")

    def check_duration(self) -> None:
        """Check the duration.

        Raises:
            InvalidInput: It is out of range, or the mode is enforce.
        """
        if self.lasts_s is None:
            return
        if self.mode == "enforce":
            raise InvalidInput([Problem("/for", "enforce has no time limit", "leave it out")])
        if not 1 <= self.lasts_s <= MAX_TIMEOUT_S:
            raise InvalidInput([Problem("/for", f"{self.lasts_s} s is out of range", "1s to 31d")])


class ModeAnswer(TypedDict):
    """Mode of the director, and who set it."""

    mode: ModeText
    reason: str
    until: Annotated[
        str | None,
        Field(
            description="When enforce resumes, in UTC; null: no limit.",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    by: str
