"""What the director may do."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from api.schemas.base import Document
from api.schemas.fields import Duration, Reason
from lvsctl.errors import InvalidInput, Problem
from lvsctl.farm.rules.farm import MAX_TIMEOUT_S

ModeText = Literal["enforce", "observe"]


class ModeRequest(Document):
    """What the director may do."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"mode": "observe", "for": "30m", "reason": "switch work"}]}
    )

    mode: ModeText = Field(description="enforce writes the kernel, observe only looks.")
    lasts_s: Duration | None = Field(
        default=None,
        alias="for",
        description="When enforce comes back, 1s to 31d; left out: never by itself.",
    )
    reason: Reason = Field(default="", description="Why, for those who wonder.")

    def refuse_wrong_end(self) -> None:
        """Refuse an end that is none.

        Raises:
            InvalidInput: It is out of range, or of a mode that has no end.
        """
        if self.lasts_s is None:
            return
        if self.mode == "enforce":
            raise InvalidInput([Problem("/for", "enforce has no end", "leave it out")])
        if not 1 <= self.lasts_s <= MAX_TIMEOUT_S:
            raise InvalidInput([Problem("/for", f"{self.lasts_s} s is out of range", "1s to 31d")])


class ModeAnswer(TypedDict):
    """What the director may do, and who said so."""

    mode: ModeText
    reason: str
    until: Annotated[
        str | None,
        Field(
            description="When enforce comes back, in UTC.",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    by: str
