"""Documents as JSON text, written so that the event loop keeps running meanwhile."""

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
    """Write a document."""
    return b"".join(json_parts(document))


def json_parts(document: Json) -> Iterator[bytes]:
    """Write a document part by part.

    The lists of the outermost object, which may be iterators as well, are written element by
    element: the encoder does not let another thread run before it is through.
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
    """Return a JSON answer; bytes are taken for JSON that is written already."""
    content = document if isinstance(document, bytes) else json_bytes(document)
    return Response(content, status, _headers(etag, location), MEDIA_TYPE)


async def large_response(
    document: Callable[[], Json],
    status: HTTPStatus = HTTPStatus.OK,
    *,
    etag: str | None = None,
    location: str | None = None,
) -> Response:
    """Return a JSON answer whose document may be large: it is made and written in a thread."""
    pieces = await asyncio.to_thread(lambda: [*joined(json_parts(document()))])
    return PiecesResponse(pieces, status, _headers(etag, location), MEDIA_TYPE)


def _headers(etag: str | None, location: str | None) -> Mapping[str, str]:
    headers = {"ETag": etag, "Location": location}
    return {name: text for name, text in headers.items() if text}
