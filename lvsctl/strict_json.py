"""Strict JSON from an untrusted source, parsed in bounded memory. Pure.

:mod:`json` alone keeps the last of two equal keys, accepts NaN, turns megabytes of brackets into
gigabytes of objects, and raises RecursionError on deep nesting.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Nesting levels; the deepest document of lvsctl has eight."""
MAX_VALUES = 200_000
"""Commas, colons and brackets; each value costs about a hundred bytes."""
_MAX_DIGITS = 20
"""Digits of an integer: as many as 2**64 has."""


def read_json(raw: bytes, most_values: int = MAX_VALUES) -> Any:  # noqa: ANN401 - JSON can be anything
    """Parse JSON (RFC 8259) in UTF-8.

    Args:
        raw: The text.
        most_values: Approximate limit on the number of values.

    Raises:
        ValueError: Invalid JSON, too deep or too large, or an object has a key twice.
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
    raise ValueError(f"{name} is not valid JSON")


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
        raise ValueError("a \\u escape is half of a surrogate pair") from None
