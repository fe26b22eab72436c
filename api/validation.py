"""What pydantic finds wrong with a document, in lvsctl's words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from api.schemas import base
from api.schemas.base import Document, DocumentT, Json, ReadAs, shown
from lvsctl.errors import InvalidInput, Problem

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
"""What pydantic's errors about types ask for."""


DISCRIMINATOR = "type"
"""The field that tells documents apart where several may stand."""


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
    place = _place(found["loc"], model)
    pointer = pointer_to(place.parts)
    context = found.get("ctx", {})
    match found["type"]:
        case base.REFUSED:
            return Problem(pointer, context["detail"], context["allowed"])
        case "missing":
            return Problem(
                pointer, "it is missing", _meaning(_fields(place.holders)[str(place.parts[-1])])
            )
        case "extra_forbidden":
            return Problem(pointer, "there is no such field", ", ".join(_fields(place.holders)))
        case "literal_error":
            return Problem(pointer, f"{shown(found['input'])} is not known", context["expected"])
        case "union_tag_invalid":
            detail = f"{shown(found['input'][DISCRIMINATOR])} is not known"
            return Problem(f"{pointer}/{DISCRIMINATOR}", detail, ", ".join(_tags(place.documents)))
        case "union_tag_not_found":
            return Problem(
                f"{pointer}/{DISCRIMINATOR}", "it is missing", ", ".join(_tags(place.documents))
            )
        case "string_too_long":
            return Problem(pointer, "it is too long", f"{context['max_length']} characters")
        case kind:
            return Problem(
                pointer, f"{shown(found['input'])} is of the wrong type", KINDS.get(kind, "")
            )


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")


class _Place(NamedTuple):
    """Where pydantic found something: its parts, the documents that hold it, and may be there."""

    parts: Sequence[str | int]
    holders: Sequence[type[Document]]
    documents: Sequence[type[Document]]


def _place(loc: Sequence[str | int], model: type[Document]) -> _Place:
    """Return the place that pydantic means.

    Where several documents are told apart by their type, it names the type as if it were a part.
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
    """Return the values of the field that tells documents apart."""
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
