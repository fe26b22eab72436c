"""Lists in requests: only the first problems of an invalid list are collected.

pydantic collects all problems. A request of four megabytes can have four million of them, which
takes a minute and five gigabytes.
"""

from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from api.schemas.base import REFUSED
from lvsctl.errors import MAX_PROBLEMS

AT_ONCE = 1000
"""Elements that are validated again at once to find further problems."""

T = TypeVar("T")


class _FirstProblems:
    """Annotates a list whose validation stops after the first problems."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        assert schema["type"] == "list"  # noqa: S101 - nothing else is annotated
        return no_info_wrap_validator_function(_validate, {**schema, "fail_fast": True})


Items = Annotated[list[T], _FirstProblems()]


def _validate(values: Any, check: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 - any JSON
    """Validate a list; each call of ``check`` stops at the first invalid element."""
    try:
        return check(values)
    except ValidationError as error:
        if not isinstance(values, list) or error.errors(include_url=False)[0]["loc"] == ():
            raise  # it is not a list, or too long
    raise ValidationError.from_exception_data("list", list(_problems(values, check)))


def _problems(values: list[Any], check: ValidatorFunctionWrapHandler) -> Iterator[InitErrorDetails]:
    """Yield the problems of an invalid list, up to the limit."""
    begin = found = 0
    while begin < len(values) and found <= MAX_PROBLEMS:
        try:
            check(values[begin : begin + AT_ONCE])
        except ValidationError as error:
            details = error.errors(include_url=False)
            index = begin + int(details[0]["loc"][0])
            for detail in details:
                yield _relocated(detail, (index, *detail["loc"][1:]))
            found += len(details)
            begin = index + 1
        else:
            begin += AT_ONCE


def _relocated(detail: Any, place: tuple[int | str, ...]) -> InitErrorDetails:  # noqa: ANN401 - ErrorDetails
    """Return the same error, located in the whole list."""
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == REFUSED:
        kind = PydanticCustomError(REFUSED, "{detail}", context)
    return InitErrorDetails(type=kind, loc=place, input=detail["input"], ctx=context)
