"""What every document has in common."""

import json
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import (
    no_info_after_validator_function,
    plain_serializer_function_ser_schema,
)

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


class DocumentOfValue(Protocol):
    """A document that stands for a value of the domain."""

    def value(self) -> Any:  # noqa: ANN401 - each of its own type
        """Return what the document stands for."""
        ...

    @classmethod
    def of(cls, value: Any) -> Self:  # noqa: ANN401 - the same type
        """Return the document of a value."""
        ...


@dataclass(frozen=True, slots=True)
class ReadAs:
    """Annotates a value that is read from a document and written as one.

    So of a long list one element at a time is held as a document, which takes several times the
    memory of the value.

    Attributes:
        document: Its type.
    """

    document: type[DocumentOfValue]

    def __get_pydantic_core_schema__(
        self, _value: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Tell pydantic how."""
        schema = handler.generate_schema(self.document)
        return no_info_after_validator_function(
            self.document.value,
            schema,
            serialization=plain_serializer_function_ser_schema(
                self.document.of, return_schema=schema
            ),
        )


def shown(value: object) -> str:
    """Write a value that was sent as JSON, cut where it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def wrong(detail: str, allowed: str) -> PydanticCustomError:
    """Return the error of a validator, for :func:`api.validation.problems_of`."""
    return PydanticCustomError(REFUSED, "{detail}", {"detail": detail, "allowed": allowed})
