"""Who changed what, and who was refused."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class AuditedWrite(TypedDict):
    """A change that was made."""

    revision: Annotated[
        int | None,
        Field(description="Of the store; null: of this director alone (its mode, an adoption)."),
    ]
    at: TimeText
    by: Annotated[str, Field(description="Name of the token, account or agent, or of a part.")]
    source: Annotated[str, Field(description="Where the request came from; empty: lvsctl itself.")]
    changes: Annotated[list[str], Field(description="What changed from what to what.")]


class AuditedRefusal(TypedDict):
    """Requests that were refused, of one sort and source, since this director started."""

    source: str
    name: Annotated[str, Field(description="Whose credential was shown; empty: none, or wrong.")]
    reason: str
    times: int
    first: TimeText
    last: TimeText


class AuditAnswer(TypedDict):
    """Who changed what, and who was refused; the latest first."""

    writes: list[AuditedWrite]
    refusals: list[AuditedRefusal]
