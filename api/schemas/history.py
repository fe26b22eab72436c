"""The history of the farm."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict


class HistoryEntry(TypedDict):
    """A commit."""

    revision: int
    at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    by: Annotated[str, Field(description="Name of the token, account or agent, or of a part.")]
    objects: Annotated[list[str], Field(description="Changed.", examples=[["pool/web"]])]
    changes: Annotated[list[str], Field(description="What changed from what to what.")]


class History(TypedDict):
    """Commits, the latest first."""

    commits: list[HistoryEntry]
