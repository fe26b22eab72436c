"""ShapeReader reads messages exactly as an attribute-by-attribute parser does."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.errors import MalformedMessage
from lvsctl.netlink.attributes import U16, U32, U64, attribute, parse_attributes
from lvsctl.netlink.shapes import ShapeReader

OFFSET, OUTER, INNER = 4, 2, 7
FIELDS = {(OUTER, 1): "I", (OUTER, INNER, 3): "Q", (OUTER, 2): "2s"}
U32S, U64S = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1)

Attribute = tuple[int, bytes]


def message(*attributes: Attribute, inner: Sequence[Attribute]) -> bytes:
    """Return a message in the kernel's format: a header, and attributes nested in an attribute."""
    nested = b"".join(attribute(kind, value) for kind, value in inner)
    outer = b"".join(attribute(kind, value) for kind, value in attributes)
    return bytes(OFFSET) + attribute(OUTER, outer + attribute(INNER, nested))


def read_alone(raw: bytes) -> tuple[int, int, bytes] | None:
    """Read a message attribute by attribute."""
    try:
        outer = parse_attributes(parse_attributes(raw, OFFSET)[OUTER])
        inner = parse_attributes(outer[INNER])
        first, second, third = outer[1], inner[3], outer[2]
    except KeyError:
        return None
    if len(first) < U32.size or len(second) < U64.size or len(third) < U16.size:
        return None
    return (*U32.unpack_from(first), *U64.unpack_from(second), third[: U16.size])


@given(st.lists(st.tuples(U32S, U64S, st.binary(min_size=2, max_size=2)), min_size=2, max_size=9))
def test_messages_of_the_same_shape_are_read(values: Sequence[tuple[int, int, bytes]]) -> None:
    """The first, from which the layout is derived, and all later ones."""
    reader = ShapeReader(OFFSET, FIELDS)
    for number, counter, port in values:
        raw = message((1, U32.pack(number)), (2, port), inner=[(3, U64.pack(counter))])
        assert (number, counter, port) == reader.read(raw)


kinds, contents = st.integers(0, 4), st.binary(max_size=9)
attributes = st.lists(st.tuples(kinds, contents), max_size=4, unique_by=lambda each: each[0])


@given(st.lists(st.builds(lambda a, b: message(*a, inner=b), attributes, attributes), max_size=9))
def test_messages_of_different_shapes_are_read(messages: Sequence[bytes]) -> None:
    """Even if they are as long as an earlier one."""
    reader = ShapeReader(OFFSET, FIELDS)
    for raw in messages:
        assert read_alone(raw) == reader.read(raw)


def test_messages_of_the_same_length_are_told_apart_by_their_headers() -> None:
    """Equal length does not imply an equal layout."""
    reader = ShapeReader(OFFSET, FIELDS)
    seen = message((1, U32.pack(7)), (2, b"ab"), inner=[(3, U64.pack(9))])
    other = message((2, b"ab"), (1, U32.pack(7)), inner=[(3, U64.pack(9))])
    assert len(seen) == len(other)
    assert [(7, 9, b"ab")] * 2 == [reader.read(seen), reader.read(other)]


def test_none_if_a_field_is_missing_repeated_or_too_short() -> None:
    """The caller's slow parser then reports what is wrong."""
    whole = [(1, U32.pack(7)), (2, b"ab")]
    inner = [(3, U64.pack(9))]
    for raw in (
        message(whole[0], inner=inner),
        message(*whole, whole[0], inner=inner),
        message(*whole, inner=[(3, U32.pack(9))]),
    ):
        assert ShapeReader(OFFSET, FIELDS).read(raw) is None


def test_a_length_that_does_not_fit_is_an_error() -> None:
    """As in parse_attributes."""
    raw = bytearray(message((1, U32.pack(7)), (2, b"ab"), inner=[(3, U64.pack(9))]))
    raw[OFFSET] = 0xFF
    with pytest.raises(MalformedMessage):
        ShapeReader(OFFSET, FIELDS).read(bytes(raw))
