"""Documents as JSON text, written so that the event loop keeps running meanwhile."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus

from starlette.responses import Response

from api.schemas.base import Json

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
MEDIA_TYPE = "application/json"


def json_bytes(document: Json) -> bytes:
    """Write a document.

    The lists of the outermost object are written element by element: the encoder does not let
    another thread run before it is through.
    """
    if not isinstance(document, dict):
        return _written(document)
    return b"{%b}" % b",".join(
        b"%b:%b" % (_written(key), _list(value) if isinstance(value, list) else _written(value))
        for key, value in document.items()
    )


def _list(values: list[Json]) -> bytes:
    return b"[%b]" % b",".join(map(_written, values))


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
    headers = {"ETag": etag, "Location": location}
    return Response(
        content, status, {name: text for name, text in headers.items() if text}, MEDIA_TYPE
    )


async def large_response(
    document: Callable[[], Json],
    status: HTTPStatus = HTTPStatus.OK,
    *,
    etag: str | None = None,
    location: str | None = None,
) -> Response:
    """Return a JSON answer whose document may be large: it is made and written in a thread."""
    content = await asyncio.to_thread(lambda: json_bytes(document()))
    return json_response(content, status, etag=etag, location=location)
