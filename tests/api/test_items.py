"""Of a wrong list the first problems are found, the same as pydantic alone would find."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.documentation import BODIES
from api.schemas.base import Document
from api.schemas.items import AT_ONCE, Items, _FirstProblems
from lvsctl.errors import MAX_PROBLEMS

PLAIN = TypeAdapter(list[Annotated[list[int], "inner"]])
BOUNDED = TypeAdapter(Items[Items[int]])
SCALARS = TypeAdapter(Items[int])


def found(adapter: TypeAdapter[Any], value: object) -> list[tuple[object, ...]]:
    """Return where something is wrong and what."""
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as error:
        return [(each["loc"], each["type"], each["input"]) for each in error.errors()]
    return []


@given(st.lists(st.lists(st.one_of(st.integers(), st.text(max_size=1), st.none())) | st.none()))
def test_the_problems_of_a_short_list_are_all_found(values: list[list[Any] | None]) -> None:
    """In their order, at their places."""
    assert found(PLAIN, values) == found(BOUNDED, values)


@given(st.sets(st.integers(0, 5 * AT_ONCE), max_size=2 * MAX_PROBLEMS))
def test_the_first_problems_of_a_long_list_are_found(wrong: set[int]) -> None:
    """And at most one more than are listed."""
    values: list[Any] = list(range(5 * AT_ONCE + 1))
    for index in wrong:
        values[index] = "x"
    expected = [((index,), "int_type", "x") for index in sorted(wrong)]
    assert expected[: MAX_PROBLEMS + 1] == found(SCALARS, values)


@pytest.mark.parametrize("value", [None, 1, "x", {}])
def test_what_is_no_list_is_said_once(value: object) -> None:
    """As pydantic does."""
    assert found(PLAIN, value) == found(BOUNDED, value)


def unbounded(annotation: object, metadata: tuple[object, ...]) -> Iterator[object]:
    """Yield the lists in a type that are not bounded."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from unbounded(arguments[0], arguments[1:])
        return
    if get_origin(annotation) is list and not any(
        isinstance(each, _FirstProblems) for each in metadata
    ):
        yield annotation
    for argument in arguments:
        yield from unbounded(argument, ())


def documents(models: Iterable[type[Document]]) -> Iterator[type[Document]]:
    """Yield documents and those that they hold."""
    for model in models:
        yield model
        for field in model.model_fields.values():
            yield from documents(_held(field.annotation, field.metadata))


def _held(annotation: object, metadata: Iterable[object]) -> Iterator[type[Document]]:
    for each in (annotation, *metadata):
        document = getattr(each, "document", each)
        if isinstance(document, type) and issubclass(document, Document):
            yield document
    for argument in get_args(annotation):
        yield from _held(argument, ())


def test_every_list_of_a_request_is_bounded() -> None:
    """Whoever adds one to a document does not have to think of it."""
    checked = set(documents(BODIES))
    assert {"Farm", "Service", "RealServer", "HttpCheck"} <= {each.__name__ for each in checked}
    assert [] == [
        (document.__name__, name)
        for document in checked
        for name, field in document.model_fields.items()
        for _ in unbounded(field.annotation, tuple(field.metadata))
    ]
