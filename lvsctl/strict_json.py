"""JSON from an untrusted source, read in bounded memory and without guessing. Pure.

:mod:`json` alone keeps the last of two equal keys, takes NaN, makes gigabytes of objects out of
megabytes of brackets, and ends in a RecursionError where a text is nested deeply.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Levels; the deepest document of lvsctl has eight."""
MAX_VALUES = 200_000
"""Commas, colons and brackets; what each stands for costs about a hundred bytes."""
_MAX_DIGITS = 20
"""Of a whole number: as many as 2**64 has."""


def read_json(raw: bytes, most_values: int = MAX_VALUES) -> Any:  # noqa: ANN401 - JSON can be anything
    """Return the JSON value (RFC 8259) that a text in UTF-8 holds.

    Args:
        raw: The text.
        most_values: How many values it may hold, roughly.

    Raises:
        ValueError: It holds none, it is too deep or too large, or an object has a key twice.
    """
    if sum(map(raw.count, (b"[", b"{", b",", b":"))) > most_values:
        raise ValueError(f"it has more than {most_values} values")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise _too_deep() from None
    _refuse_deep(document)
    if "\\u" in text:
        _refuse_half_characters(document)
    return document


def _refuse_deep(document: object) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner for value in level for inner in _members(value) if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"an object has the key {twice[:40]!r} twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)


def _refuse_half_characters(document: object) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a \\u escape stands for half a character") from None
