"""Base classes of documents."""

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
"""A JSON value as :mod:`json` decodes it."""

MAX_SHOWN = 60
REFUSED = "refused"
"""Type of validation errors whose context has the keys ``detail`` and ``allowed``."""


class Document(BaseModel):
    """A JSON object, parsed strictly: no unknown fields, no numbers in strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def plain(self) -> dict[str, Json]:
        """Return the document as JSON values, without fields that are null."""
        return self.model_dump(mode="json", exclude_none=True)


DocumentT = TypeVar("DocumentT", bound=Document)


class DocumentOfValue(Protocol):
    """A document that represents a value of the domain."""

    def value(self) -> Any:  # noqa: ANN401 - depends on the document
        """Return the value that the document represents."""
        ...

    @classmethod
    def of(cls, value: Any) -> Self:  # noqa: ANN401 - depends on the document
        """Return the document of a value."""
        ...


@dataclass(frozen=True, slots=True)
class ReadAs:
    """Annotates a field of a domain type that is parsed from, and serialized as, a document.

    In a long list only one element at a time exists as a document, which takes several times the
    memory of its value.

    Attributes:
        document: Type of the document.
    """

    document: type[DocumentOfValue]

    def __get_pydantic_core_schema__(
        self, _value: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the document, with conversions to and from the value."""
        schema = handler.generate_schema(self.document)
        return no_info_after_validator_function(
            self.document.value,
            schema,
            serialization=plain_serializer_function_ser_schema(
                self.document.of, return_schema=schema
            ),
        )


def shown(value: object) -> str:
    """Return a value from a request as JSON for a message, truncated if it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def wrong(detail: str, allowed: str) -> PydanticCustomError:
    """Return a validation error for :func:`api.validation.problems_of`."""
    return PydanticCustomError(REFUSED, "{detail}", {"detail": detail, "allowed": allowed})
