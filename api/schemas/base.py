"""What every document has in common."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

Json = Any
"""A JSON value as :mod:`json` reads it."""

MAX_SHOWN = 60
REFUSED = "refused"
"""Type of the errors that carry what is wrong and what is allowed in their context."""


class Document(BaseModel):
    """A JSON object in which nothing is guessed: no unknown field, no number made of a string."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def plain(self) -> dict[str, Json]:
        """Return the document as JSON values, without what it leaves open."""
        return self.model_dump(mode="json", exclude_none=True)


DocumentT = TypeVar("DocumentT", bound=Document)


def shown(value: object) -> str:
    """Write a value that was sent as JSON, cut where it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def wrong(detail: str, allowed: str) -> PydanticCustomError:
    """Return the error of a validator, for :func:`api.validation.problems_of`."""
    return PydanticCustomError(REFUSED, "{detail}", {"detail": detail, "allowed": allowed})
