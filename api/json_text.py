"""Strict JSON parser: refuses text that two programs could interpret differently.

:mod:`json` alone keeps the last of two equal keys, accepts NaN and lone surrogates, and fails with
a RecursionError on deep nesting.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from api.problems import BAD_REQUEST, RequestRefused
from api.schemas.base import Json, shown
from api.validation import pointer_to
from lvsctl.errors import Problem, first_problems

MAX_DEPTH = 32
"""Maximum nesting; the deepest document of lvsctl has six levels."""
MAX_KEYS = 1000
"""Maximum number of keys in an object; lvsctl's have up to twenty."""


class _Repeated(dict[str, Json]):
    """A JSON object with repeated keys."""

    twice: tuple[str, ...] = ()


def parse(raw: bytes | bytearray) -> Json:
    """Parse a JSON value.

    Raises:
        RequestRefused: It is not JSON (RFC 8259) in UTF-8, or two keys of an object are equal.
    """
    try:
        return _read(raw.decode())
    except json.JSONDecodeError as error:
        raise _no_json(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise _no_json(f"byte {error.start} is not UTF-8") from None
    except UnicodeEncodeError:
        raise _no_json("a \\u escape is half of a surrogate pair") from None
    except RecursionError:
        raise _no_json(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise _no_json(str(error)) from None


def _read(text: str) -> Json:
    repeated: list[_Repeated] = []

    def json_object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(pairs) > MAX_KEYS:
            raise ValueError(f"an object has {len(pairs)} keys, more than {MAX_KEYS}")
        found = dict(pairs)
        if len(found) < len(pairs):
            found = _Repeated(found)
            found.twice = tuple(
                key for key, times in Counter(key for key, _ in pairs).items() if times > 1
            )
            repeated.append(found)
        return found

    document = json.loads(text, object_pairs_hook=json_object, parse_constant=_no_constant)
    _refuse_deep(document)
    if "\\u" in text:
        json.dumps(document, ensure_ascii=False).encode()
    if repeated:
        raise _no_json("an object has a key twice", first_problems(_twice(document, ())))
    return document


def _refuse_deep(document: Json) -> None:
    level = [document]  # non-empty objects and lists, level by level
    for _ in range(MAX_DEPTH - 1):
        level = [
            inner
            for value in level
            for inner in _values(value)
            if isinstance(inner, dict | list) and inner
        ]
        if not level:
            return
    raise RecursionError


def _values(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _parts(value: Json) -> Iterable[tuple[str | int, Json]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _no_json(detail: str, problems: Sequence[Problem] = ()) -> RequestRefused:
    return RequestRefused(
        BAD_REQUEST,
        f"the body is not valid JSON: {detail}",
        problems or [Problem("", detail, "one JSON value in UTF-8 (RFC 8259)")],
    )


def _twice(value: Json, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(value, _Repeated):
        for key in value.twice:
            pointer = pointer_to((*place, key))
            yield Problem(pointer, f"the key {shown(key)} is there twice", "each key once")
    for part, inner in _parts(value):
        yield from _twice(inner, (*place, part))
