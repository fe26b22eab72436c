"""JSON that comes from a hostile side."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.strict_json import MAX_DEPTH, MAX_VALUES, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_writes_is_read(value: object) -> None:
    """Unchanged."""
    text = json.dumps(value, ensure_ascii=False)
    assert value == read_json(text.encode())


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


REFUSED = {
    "nothing": (b"", "Expecting value"),
    "half": (b'{"a": ', "Expecting value"),
    "more than one": (b"{} {}", "Extra data"),
    "NaN": (b"[NaN]", "NaN"),
    "infinity": (b"[-Infinity]", "Infinity"),
    "a number without end": (b"[1e999]", "too large"),
    "a million digits": (b"1" * 1_000_000, "1000000 digits"),
    "a key twice": (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
    "not UTF-8": (b'"\xff"', "byte 1"),
    "UTF-16": (json.dumps({}).encode("utf-16"), "byte 0"),
    "half a character": (b'"\\ud800"', "half of a surrogate pair"),
    "one level too deep": (nested(MAX_DEPTH + 1), "deeper"),
    "a hundred thousand levels": (nested(100_000), "deeper"),
    "objects too deep": (b'{"a":' * 40 + b"1" + b"}" * 40, "deeper"),
    "too many values": (b"[" + b"[]," * MAX_VALUES + b"[]]", "values"),
    "zeros before a number": (b"[01]", "delimiter"),
    "a comment": (b"{} // ok", "Extra data"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM"),
}


@pytest.mark.parametrize(("raw", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_reason(raw: bytes, why: str) -> None:
    """As ValueError and nothing else."""
    with pytest.raises(ValueError, match=why):
        read_json(raw)


def test_the_deepest_is_read() -> None:
    """The limit itself is allowed."""
    assert json.loads(nested(MAX_DEPTH)) == read_json(nested(MAX_DEPTH))


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused(raw: bytes) -> None:
    """Never another exception."""
    with contextlib.suppress(ValueError):
        read_json(raw)
