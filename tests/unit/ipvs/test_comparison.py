"""Comparison tells dumps apart exactly where a decoder that ignores the counters would."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.netlink.attributes import attribute, parse_attributes
from lvsctl.netlink.comparison import Comparison
from lvsctl.netlink.messages import GENERIC_HEADER, frame, parse_messages

NEST, COUNTER, OTHER_COUNTER = 2, 7, 8
IGNORED = frozenset([COUNTER, OTHER_COUNTER])

Attribute = tuple[int, bytes]


def datagram(*messages: Sequence[Attribute], sequence: int = 1) -> bytes:
    """Return a dump's datagram in the kernel's format."""
    return b"".join(
        frame(
            23, 2, sequence, GENERIC_HEADER.pack(1, 1, 0) + attribute(NEST, _attributes(attributes))
        )
        for attributes in messages
    )


def _attributes(attributes: Sequence[Attribute]) -> bytes:
    return b"".join(attribute(kind, value) for kind, value in attributes)


def decoded(raw: bytes) -> Sequence[Sequence[Attribute]]:
    """Return the attributes of each message but the values of counters, in their order."""
    found = []
    for message in parse_messages(raw):
        nested = parse_attributes(message.payload, GENERIC_HEADER.size)[NEST]
        attributes = parse_attributes(nested)
        found.append(
            [
                (kind, bytes(len(value)) if kind in IGNORED else value)
                for kind, value in attributes.items()
            ]
        )
    return found


kinds = st.sampled_from([1, 2, COUNTER, OTHER_COUNTER])
values = st.sampled_from([b"", b"a", b"abcd", b"abce", b"abcdefgh"])
attributes = st.lists(st.tuples(kinds, values), max_size=4, unique_by=lambda each: each[0])
datagrams = st.lists(attributes, min_size=1, max_size=4).map(lambda each: datagram(*each))


@given(datagrams, datagrams)
def test_equal_exactly_when_they_decode_to_the_same(one: bytes, other: bytes) -> None:
    """Whatever the order and the lengths of attributes, counters among them."""
    assert Comparison([one], IGNORED).matches([one])
    assert (decoded(one) == decoded(other)) == Comparison([one], IGNORED).matches([other])


def test_counters_and_sequence_numbers_do_not_matter() -> None:
    """All else does: each message's own header, its place, and how many datagrams there are."""
    first, second = [(1, b"abcd"), (COUNTER, b"1234")], [(1, b"abce"), (COUNTER, b"1234")]
    known = Comparison([datagram(first, second)], IGNORED)
    moved = [(1, b"abcd"), (COUNTER, b"9999")]
    assert known.matches([datagram(moved, second, sequence=77)])
    assert not known.matches([datagram(second, first)])
    assert not known.matches([datagram(first), datagram(second)])
    assert not known.matches([])
    marked = bytearray(datagram(first, second))
    marked[6] |= 0x10  # NLM_F_DUMP_INTR
    assert not known.matches([bytes(marked)])
    assert Comparison([], IGNORED).matches([])


def test_what_looks_like_another_layout_is_another() -> None:
    """A counter as long as a configuration attribute, in its place."""
    one, other = [(1, b"abcd"), (COUNTER, b"1234")], [(COUNTER, b"1234"), (1, b"abcd")]
    assert not Comparison([datagram(one)], IGNORED).matches([datagram(other)])
    assert not Comparison([datagram(one, other)], IGNORED).matches([datagram(other, one)])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        datagram([(1, b"abcd")])[:-1],
        frame(23, 2, 1, GENERIC_HEADER.pack(1, 1, 0)),
        frame(23, 2, 1, GENERIC_HEADER.pack(1, 1, 0) + attribute(NEST, b"") * 2),
        frame(23, 2, 1, GENERIC_HEADER.pack(1, 1, 0) + attribute(NEST, b"\xff\x00\x01\x00")),
        frame(23, 2, 1, GENERIC_HEADER.pack(1, 1, 0) + attribute(NEST, b"\x00\x00\x01\x00")),
    ],
)
def test_nothing_equals_what_is_built_otherwise(raw: bytes) -> None:
    """It is decoded, or refused, each time."""
    assert not raw or not Comparison([raw], IGNORED).matches([raw])
