"""Strict conversion of JSON documents to values: no coercion between types.

Unknown fields are ignored, so either side may be older.
"""

import dataclasses
import enum
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from itertools import islice
from typing import Any, TypeVar, get_args

import cattrs
from cattrs import AttributeValidationNote, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from lvsctl.errors import InvalidInput, Problem

T = TypeVar("T")
_Hook = Callable[[object, object], object]

_TEXTS: tuple[tuple[Any, Callable[[str], object], str], ...] = (
    (IPv4Address | IPv6Address, ip_address, "an IP address"),
    (IPv4Interface | IPv6Interface, ip_interface, "an IP address with prefix length"),
    (IPv4Network | IPv6Network, ip_network, "an IP network"),
)
_NAMES = {str: "a string", int: "a whole number", bool: "true or false"}
MOST_PROBLEMS = 100
"""Problems reported for one document, which bounds the cost of a million invalid members."""


class _Unfit(ValueError):
    """A part of a document is invalid."""

    def __init__(self, detail: str, allowed: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.allowed = allowed


def structured(converter: cattrs.Converter, document: object, form: type[T]) -> T:
    """Convert a JSON document to a value.

    Raises:
        InvalidInput: The document is invalid; one problem for each invalid part.
    """
    try:
        return converter.structure(document, form)
    except (cattrs.BaseValidationError, _Unfit, KeyError) as error:
        raise InvalidInput(tuple(islice(_problems(error, ""), MOST_PROBLEMS))) from error


def strict_converter() -> cattrs.Converter:
    """Create a converter for JSON documents, to which unions of classes can be added."""
    converter = cattrs.Converter()
    for form in _NAMES:
        converter.register_structure_hook(form, _exactly)
    for members, plain in ((enum.StrEnum, str), (enum.IntEnum, int)):
        converter.register_structure_hook(members, partial(_member, plain))
    for union, parse, what in _TEXTS:
        hook = _text_hook(parse, what)
        converter.register_structure_hook(union, hook)
        converter.register_structure_hook(union | None, _or_none(hook))
        for member in get_args(union):
            converter.register_unstructure_hook(member, str)
    converter.register_structure_hook_func(
        lambda form: getattr(form, "__origin__", None) is tuple,
        lambda value, form: _tuple(converter, value, form),
    )
    converter.register_structure_hook_factory(
        dataclasses.is_dataclass, lambda form: _dataclass_hook(converter, form)
    )
    return converter


def _dataclass_hook(converter: cattrs.Converter, form: Any) -> Any:  # noqa: ANN401
    structure = make_dict_structure_fn(form, converter)
    return lambda value, _: structure(_object(value), form)


def _tuple(converter: cattrs.Converter, value: object, form: Any) -> tuple[object, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise _Unfit(f"{_shown(value)} is not a list", "a list")
    member = form.__args__[0]
    structure = converter.get_structure_hook(member)
    members: list[object] = []
    errors: list[Exception] = []
    for index, each in enumerate(value):
        try:
            members.append(structure(each, member))
        except Exception as error:  # noqa: BLE001 - as cattrs does; reported with its index
            error.add_note(IterableValidationNote(f"member {index}", index, member))
            errors.append(error)
            if len(errors) == MOST_PROBLEMS:
                break
    if errors:
        raise IterableValidationError("a list has invalid members", errors, form)
    return tuple(members)


def _object(document: object) -> dict[str, object]:
    if not isinstance(document, dict):
        raise _Unfit(f"{_shown(document)} is not an object", "a JSON object")
    return document


def _exactly(value: object, form: type[T]) -> T:
    if type(value) is not form:  # not isinstance: True must not pass as a number
        raise _Unfit(f"{_shown(value)} is not {_NAMES[form]}", _NAMES[form])
    return value


def _member(plain: type, value: object, form: type[enum.Enum]) -> enum.Enum:
    try:
        return form(_exactly(value, plain))
    except ValueError as error:
        allowed = ", ".join(str(member.value) for member in form)
        raise _Unfit(f"{_shown(value)} is not a known value", allowed) from error


def _text_hook(parse: Callable[[str], object], what: str) -> _Hook:
    def structure(value: object, _: object) -> object:
        text = _exactly(value, str)
        if "%" in text:
            raise _Unfit(f"{_shown(text)} names a device, which is specific to one host", what)
        try:
            return parse(text)
        except ValueError as error:
            raise _Unfit(f"{_shown(text)} is not {what}", what) from error

    return structure


def _or_none(hook: _Hook) -> _Hook:
    return lambda value, form: None if value is None else hook(value, form)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004


def _problems(error: BaseException, pointer: str) -> Iterator[Problem]:
    if isinstance(error, cattrs.BaseValidationError):
        for inner in error.exceptions:
            yield from _problems(inner, pointer + _step(inner))
    elif isinstance(error, KeyError):
        yield Problem(pointer, "is missing")
    elif isinstance(error, _Unfit):
        yield Problem(pointer, error.detail, error.allowed)
    else:
        yield Problem(pointer, f"is malformed ({error})")


def _step(error: BaseException) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f"/{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"/{note.index}"
    return ""
