"""What pydantic finds wrong with a document, in lvsctl's words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from api.schemas import base
from api.schemas.base import Document, DocumentT, Json, shown
from lvsctl.errors import InvalidInput, Problem

KINDS: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "a string",
}
"""What pydantic's errors about types ask for."""


def validated(model: type[DocumentT], document: Json) -> DocumentT:
    """Return a document that fits a model.

    Raises:
        InvalidInput: It does not; a problem for each field that is wrong.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(
            [_problem(found, model) for found in error.errors(include_url=False)]
        ) from None


def pointer_to(place: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) to a place in a document."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def _problem(found: ErrorDetails, model: type[Document]) -> Problem:
    *parents, last = found["loc"] or ("",)
    pointer = pointer_to(found["loc"])
    context = found.get("ctx", {})
    match found["type"]:
        case base.REFUSED:
            return Problem(pointer, context["detail"], context["allowed"])
        case "missing":
            return Problem(pointer, "it is missing", _meaning(_fields(model, parents)[str(last)]))
        case "extra_forbidden":
            return Problem(pointer, "there is no such field", ", ".join(_fields(model, parents)))
        case "literal_error":
            return Problem(pointer, f"{shown(found['input'])} is not known", context["expected"])
        case "string_too_long":
            return Problem(pointer, "it is too long", f"{context['max_length']} characters")
        case kind:
            return Problem(
                pointer, f"{shown(found['input'])} is of the wrong type", KINDS.get(kind, "")
            )


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")


def _fields(model: type[Document], place: Sequence[str | int]) -> Mapping[str, FieldInfo]:
    """Return the fields of the object at a place in a document of a model."""
    for part in place:
        if isinstance(part, str):
            model = next(_documents(model.model_fields[part].annotation))
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _documents(annotation: Any) -> Iterator[type[Document]]:  # noqa: ANN401 - any type there is
    if isinstance(annotation, type) and issubclass(annotation, Document):
        yield annotation
    for argument in get_args(annotation):
        yield from _documents(argument)
