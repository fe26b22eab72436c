"""Fast reading of attributes from messages of the same layout. Pure.

The messages of a dump have the same attributes, of the same lengths, in the same order. So the
offset of each is worked out once; for later messages only the attribute headers are compared,
which takes a tenth of the time.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from lvsctl.errors import MalformedMessage
from lvsctl.netlink.attributes import HEADER, TYPE_MASK, padded

Path = tuple[int, ...]
"""The types of the enclosing attributes and of the attribute itself."""

MAX_SHAPES = 64


@dataclass(frozen=True, slots=True)
class _Shape:
    """The layout of messages of one length.

    Attributes:
        unpack: Reads all headers and requested values.
        headers: Selects the headers.
        expected: The expected headers.
        values: Selects the values, in the requested order.
    """

    unpack: Callable[[bytes], tuple[Any, ...]]
    headers: Callable[[tuple[Any, ...]], tuple[int, ...]]
    expected: tuple[int, ...]
    values: Callable[[tuple[Any, ...]], tuple[Any, ...]]


class ShapeReader:
    """Reads selected attributes of messages.

    Args:
        offset: Where attributes begin in a message.
        fields: The attributes, two or more, each with its :mod:`struct` format; in native byte
            order.
    """

    def __init__(self, offset: int, fields: Mapping[Path, str]) -> None:
        self._offset = offset
        self._fields = fields
        self._parents = frozenset(path[:depth] for path in fields for depth in range(1, len(path)))
        self._shapes: dict[int, _Shape] = {}

    def read(self, message: bytes) -> tuple[Any, ...] | None:
        """Return the values in the order of the fields.

        None if a field is missing, occurs twice or is too short.

        Raises:
            MalformedMessage: An attribute's length does not fit.
        """
        shape = self._shapes.get(len(message))
        if shape:
            found = shape.unpack(message)
            if shape.headers(found) == shape.expected:
                return shape.values(found)
        shape = self._shape_of(message)
        if shape is None:
            return None
        if len(self._shapes) == MAX_SHAPES:
            self._shapes.clear()
        self._shapes[len(message)] = shape
        return shape.values(shape.unpack(message))

    def _shape_of(self, message: bytes) -> _Shape | None:
        """Return the layout of a message; None if a field is missing, repeated or too short."""
        layout, at = "=", 0
        headers: list[int] = []
        places: dict[Path, int] = {}
        for path, start, end in self._attributes(message, (), self._offset, len(message)):
            layout += f"{start - at}xI"
            headers.append(len(headers) + len(places))
            at = start + HEADER.size
            form = self._fields.get(path)
            if form is None:
                continue
            size = struct.calcsize("=" + form)
            if path in places or at + size > end:
                return None
            places[path] = len(headers) + len(places)
            layout += form
            at += size
        if places.keys() != self._fields.keys():
            return None
        whole = struct.Struct(f"{layout}{len(message) - at}x")
        pick_headers = itemgetter(*headers)
        return _Shape(
            whole.unpack,
            pick_headers,
            pick_headers(whole.unpack(message)),
            itemgetter(*(places[path] for path in self._fields)),
        )

    def _attributes(
        self, message: bytes, parents: Path, start: int, end: int
    ) -> Iterator[tuple[Path, int, int]]:
        """Yield the path, start and end of each attribute, in the order of their headers."""
        while start + HEADER.size <= end:
            length, kind = HEADER.unpack_from(message, start)
            if length < HEADER.size or start + length > end:
                raise MalformedMessage(f"a netlink attribute at byte {start} has length {length}")
            path = (*parents, kind & TYPE_MASK)
            yield path, start, start + length
            if path in self._parents:
                yield from self._attributes(message, path, start + HEADER.size, start + length)
            start += padded(length)
