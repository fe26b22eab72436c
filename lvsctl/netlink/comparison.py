"""Tells whether a dump says the same as an earlier one but for some attributes. Pure.

Nothing is decoded. All is compared but the values of those attributes: their headers too, and so
the layout. Dumps that compare equal therefore have the same attributes in the same places, in
whatever order the kernel writes them, and decode to the same values.
"""

import functools
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lvsctl.netlink.attributes import HEADER as ATTRIBUTE_HEADER
from lvsctl.netlink.attributes import TYPE_MASK, padded
from lvsctl.netlink.messages import GENERIC_HEADER, HEADER

_NESTED_AT = HEADER.size + GENERIC_HEADER.size
_ATTRIBUTES_AT = _NESTED_AT + ATTRIBUTE_HEADER.size
_WHOLE_HEADERS = "8s8x"
"""A netlink header without the sequence number and the port, which differ each time."""


class Comparison:
    """What is remembered of a dump.

    Args:
        datagrams: Of the dump, of generic netlink messages with one nested attribute each; where
            one is built otherwise nothing compares equal to it.
        ignored: Types, within that attribute, whose values do not matter.
    """

    __slots__ = ("_pieces",)

    def __init__(self, datagrams: Sequence[bytes], ignored: Collection[int]) -> None:
        self._pieces: list[tuple[struct.Struct, bytes]] | None = []
        for datagram in datagrams:
            layout = _layout_of_datagram(datagram, ignored)
            if layout is None:
                self._pieces = None
                return
            self._pieces.append((layout, b"".join(layout.unpack(datagram))))

    def matches(self, datagrams: Sequence[bytes]) -> bool:
        """Tell whether another dump says the same, in the same pieces."""
        return (
            self._pieces is not None
            and len(self._pieces) == len(datagrams)
            and all(
                len(datagram) == layout.size and b"".join(layout.unpack(datagram)) == picked
                for datagram, (layout, picked) in zip(datagrams, self._pieces, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How messages are built.

    Attributes:
        compared: Picks what is compared, in the format of :mod:`struct`.
        headers: Picks the headers of all attributes.
        expected: Those headers.
    """

    compared: str
    headers: struct.Struct
    expected: tuple[bytes, ...]


def _layout_of_datagram(datagram: bytes, ignored: Collection[int]) -> struct.Struct | None:
    known: dict[int, _Layout] = {}
    forms: list[str] = []
    at = 0
    while at + HEADER.size <= len(datagram):
        size = padded(HEADER.unpack_from(datagram, at)[0])
        message = datagram[at : at + size]
        layout = known.get(size)
        if layout is None or layout.headers.unpack(message) != layout.expected:
            layout = _layout_of_message(message, ignored)
            if layout is None:
                return None
            known[size] = layout
        forms.append(layout.compared)
        at += size
    return _struct("=" + "".join(forms)) if at == len(datagram) else None


def _layout_of_message(message: bytes, ignored: Collection[int]) -> _Layout | None:
    places = _attributes(message)
    if places is None:
        return None
    compared, compared_to = _WHOLE_HEADERS, HEADER.size
    headers, headers_to = "=", 0
    for at, length, kind in places:
        headers += f"{at - headers_to}x{ATTRIBUTE_HEADER.size}s"
        value_at = headers_to = at + ATTRIBUTE_HEADER.size
        if kind in ignored:
            compared += f"{value_at - compared_to}s{at + length - value_at}x"
            compared_to = at + length
    whole = struct.Struct(f"{headers}{len(message) - headers_to}x")
    compared += f"{len(message) - compared_to}s"
    return _Layout(compared, whole, whole.unpack(message))


def _attributes(message: bytes) -> Sequence[tuple[int, int, int]] | None:
    """Return place, length and type of each attribute in the one that a message consists of."""
    if len(message) < _ATTRIBUTES_AT:
        return None
    nested, _ = ATTRIBUTE_HEADER.unpack_from(message, _NESTED_AT)
    if _NESTED_AT + padded(nested) != len(message):
        return None
    found = [*_walk(message)]
    ends_at = found[-1][0] + padded(found[-1][1]) if found else _ATTRIBUTES_AT
    return found if ends_at == len(message) else None


def _walk(message: bytes) -> Iterator[tuple[int, int, int]]:
    at = _ATTRIBUTES_AT
    while at + ATTRIBUTE_HEADER.size <= len(message):
        length, kind = ATTRIBUTE_HEADER.unpack_from(message, at)
        if length < ATTRIBUTE_HEADER.size:
            return
        yield at, length, kind & TYPE_MASK
        at += padded(length)


_struct = functools.lru_cache(maxsize=256)(struct.Struct)
