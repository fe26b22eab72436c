"""Serializes documents as JSON, without blocking the event loop."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus

from starlette.responses import Response

from api.pieces import PiecesResponse, joined
from api.schemas.base import Json

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
MEDIA_TYPE = "application/json"


def json_bytes(document: Json) -> bytes:
    """Serialize a document."""
    return b"".join(json_parts(document))


def json_parts(document: Json) -> Iterator[bytes]:
    """Serialize a document in parts.

    Lists in the outermost object, which may also be iterators, are serialized element by element,
    as the encoder does not release the interpreter until it has finished.
    """
    if not isinstance(document, dict) or not document:
        yield _written(document)
        return
    before = b"{"
    for key, value in document.items():
        yield b"%b%b:" % (before, _written(key))
        if isinstance(value, list | Iterator):
            yield from _list(value)
        else:
            yield _written(value)
        before = b","
    yield b"}"


def _list(values: Iterable[Json]) -> Iterator[bytes]:
    before = b"["
    for value in values:
        yield before + _written(value)
        before = b","
    yield b"]" if before == b"," else b"[]"


def _written(value: Json) -> bytes:
    return _JSON.encode(value).encode("utf-8", "backslashreplace")


def json_response(
    document: Json,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    etag: str | None = None,
    location: str | None = None,
) -> Response:
    """Return a JSON response; bytes are already serialized."""
    content = document if isinstance(document, bytes) else json_bytes(document)
    return Response(content, status, _headers(etag, location), MEDIA_TYPE)


async def large_response(
    document: Callable[[], Json],
    status: HTTPStatus = HTTPStatus.OK,
    *,
    etag: str | None = None,
    location: str | None = None,
) -> Response:
    """Return a JSON response whose document may be large: a thread builds and serializes it."""
    pieces = await asyncio.to_thread(lambda: [*joined(json_parts(document()))])
    return PiecesResponse(pieces, status, _headers(etag, location), MEDIA_TYPE)


def _headers(etag: str | None, location: str | None) -> Mapping[str, str]:
    headers = {"ETag": etag, "Location": location}
    return {name: text for name, text in headers.items() if text}
