"""Validates documents with pydantic, and reports errors as problems."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from api.schemas import base
from api.schemas.base import Document, DocumentT, Json, ReadAs, shown
from lvsctl.errors import InvalidInput, Problem
from lvsctl.reasons import inputs
from lvsctl.reasons.reason import Reason

KINDS: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
}
"""Expected types, by pydantic's error type."""


DISCRIMINATOR = "type"
"""The field that distinguishes the alternatives of a union."""


def validated(model: type[DocumentT], document: Json) -> DocumentT:
    """Validate a document against a model.

    Raises:
        InvalidInput: One problem for each invalid field.
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
    place = _place(found["loc"], model)
    pointer = pointer_to(place.parts)
    context = found.get("ctx", {})
    match found["type"]:
        case base.REFUSED:
            return Problem(pointer, context["detail"], context["allowed"])
        case "missing":
            meaning = _meaning(_fields(place.holders)[str(place.parts[-1])])
            return _made(pointer, inputs.MISSING(), meaning)
        case "extra_forbidden":
            return _made(pointer, inputs.UNKNOWN_FIELD(), ", ".join(_fields(place.holders)))
        case "literal_error":
            unknown = inputs.UNKNOWN_VALUE(value=shown(found["input"]))
            return _made(pointer, unknown, context["expected"])
        case "union_tag_invalid":
            unknown = inputs.UNKNOWN_VALUE(value=shown(found["input"][DISCRIMINATOR]))
            return _made(f"{pointer}/{DISCRIMINATOR}", unknown, ", ".join(_tags(place.documents)))
        case "union_tag_not_found":
            tags = ", ".join(_tags(place.documents))
            return _made(f"{pointer}/{DISCRIMINATOR}", inputs.MISSING(), tags)
        case "string_too_long":
            return _made(pointer, inputs.TOO_LONG(), f"{context['max_length']} characters")
        case kind:
            got = shown(found["input"])
            expected = KINDS.get(kind, "")
            if expected == KINDS["model_type"] and len(place.documents) == 1:
                expected += f" ({', '.join(_fields(place.documents))})"
            wrong = inputs.WRONG_TYPE(expected=expected or "another value", value=got)
            return _made(pointer, wrong, expected)


def _made(pointer: str, why: Reason, allowed: str) -> Problem:
    return Problem(pointer, str(why), allowed, why.code)


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")


class _Place(NamedTuple):
    """Location of an error: its parts, the models that contain it, and those expected there."""

    parts: Sequence[str | int]
    holders: Sequence[type[Document]]
    documents: Sequence[type[Document]]


def _place(loc: Sequence[str | int], model: type[Document]) -> _Place:
    """Return the place of a pydantic location.

    In a union of documents, pydantic includes the type as an extra part.
    """
    parts: list[str | int] = []
    holders = documents = [model]
    for part in loc:
        if isinstance(part, str) and len(documents) > 1:
            documents = [document for document in documents if part in _tags([document])]
            continue
        parts.append(part)
        if isinstance(part, str) and documents:
            holders = documents
            field = _fields(holders).get(part)
            documents = list(_documents(field.annotation)) if field else []
    return _Place(parts, holders, documents)


def _fields(documents: Sequence[type[Document]]) -> Mapping[str, FieldInfo]:
    """Return the fields of documents, by the name in JSON."""
    return {
        field.alias or name: field
        for document in documents
        for name, field in document.model_fields.items()
    }


def _tags(documents: Sequence[type[Document]]) -> Sequence[str]:
    """Return the values of the discriminator."""
    return [
        tag
        for document in documents
        for tag in get_args(document.model_fields[DISCRIMINATOR].annotation)
    ]


def _documents(annotation: Any) -> Iterator[type[Document]]:  # noqa: ANN401 - any type there is
    if isinstance(annotation, ReadAs):
        annotation = annotation.document
    if isinstance(annotation, type) and issubclass(annotation, Document):
        yield annotation
    for argument in get_args(annotation):
        yield from _documents(argument)
