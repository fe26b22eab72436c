"""What a request carries: bytes to JSON to a valid document, with no guess and off the loop."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import TypeVar

from fastapi import Request

from api.json_text import parse
from api.problems import TOO_LONG, RequestRefused
from api.schemas.base import Json
from lvsctl.errors import InvalidInput, Problem

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_FARM_BYTES = 32 * 1024 * 1024
"""Of a whole farm, which may have a hundred thousand servers."""
MAX_VALUES = 5_000_000
"""Brackets, commas and colons of a body: each value costs about a hundred bytes of memory. A body
of :data:`MAX_BODY_BYTES` has fewer."""
SMALL_BODY_BYTES = 16 * 1024
"""So much is read at once; handing it to a thread would take longer."""

ValueT = TypeVar("ValueT")


async def read_body(
    request: Request, read: Callable[[Json], ValueT], max_bytes: int = MAX_BODY_BYTES
) -> ValueT:
    """Return what ``read`` makes of the JSON value in a request's body.

    A large body is received, parsed and read while no other is, so that they take the memory of
    one; the latter two in a thread, as a farm may have ten thousand servers.

    Raises:
        RequestRefused: Too long, or no JSON.
    """
    large: asyncio.Lock = request.app.state.large_bodies
    raw = bytearray()
    async with AsyncExitStack() as stack:
        async for chunk in request.stream():
            if len(raw) <= SMALL_BODY_BYTES < len(raw) + len(chunk):
                await stack.enter_async_context(large)
            raw += chunk
            if len(raw) > max_bytes:
                raise _too_long(max_bytes)
        if len(raw) <= SMALL_BODY_BYTES:
            return read(parse(raw))
        return await asyncio.to_thread(_read_large, raw, read)


def _read_large(raw: bytearray, read: Callable[[Json], ValueT]) -> ValueT:
    if sum(map(raw.count, b"[{,:")) > MAX_VALUES:
        raise _refusal("the body has too many values", f"up to {MAX_VALUES}")
    return read(parse(raw))


def _too_long(max_bytes: int) -> RequestRefused:
    return _refusal("the body is too long", f"up to {max_bytes} bytes")


def _refusal(detail: str, allowed: str) -> RequestRefused:
    return RequestRefused(
        TOO_LONG,
        f"{detail}; send {allowed}",
        [Problem("", detail, allowed)],
        {"Connection": "close"},
    )


def named(document: Json, name: str) -> Json:
    """Return an object's document with the name that its address gives, without its status.

    The name may be left out.

    Raises:
        InvalidInput: The document has another name.
    """
    if not isinstance(document, dict):
        return document
    document = {"name": name, **declared(document, {"status"})}
    if document["name"] != name:
        raise InvalidInput([Problem("/name", f"the address names {name!r}", name)])
    return document


def declared(document: Json, read_only: Collection[str]) -> Json:
    """Return a document without the fields that only answers have: they may be sent back."""
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if key not in read_only}
