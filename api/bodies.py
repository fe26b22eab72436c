"""Reads request bodies: receives, parses and validates them off the event loop."""

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
"""Bodies up to this size are parsed at once, as passing them to a thread would take longer."""

ValueT = TypeVar("ValueT")


async def read_body(
    request: Request, read: Callable[[Json], ValueT], max_bytes: int = MAX_BODY_BYTES
) -> ValueT:
    """Return the result of ``read`` for the JSON value in a request's body.

    Large bodies are handled one at a time, so that they need the memory of one only, and are parsed
    and read in a thread, as a farm may have ten thousand servers.

    Raises:
        RequestRefused: The body is too long or not JSON.
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
    """Return an object's document with the name from its path, and without its status.

    The name may be missing in the document.

    Raises:
        InvalidInput: The document has another name.
    """
    if not isinstance(document, dict):
        return document
    document = {"name": name, **declared(document, {"status"})}
    if document["name"] != name:
        raise InvalidInput([Problem("/name", f"the name in the path is {name!r}", name)])
    return document


def declared(document: Json, read_only: Collection[str]) -> Json:
    """Return a document without fields of responses, which clients may send back."""
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if key not in read_only}
