"""The event stream (server-sent events)."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from api.access import Asking
from api.daemon import Daemon
from api.documentation import refusals
from api.rendering import json_bytes
from api.schemas.base import Json
from lvsctl.director.access.disclosure import readable_lines
from lvsctl.director.access.principal import Principal
from lvsctl.director.events.events import Events
from lvsctl.errors import InvalidInput, Problem
from lvsctl.events import RecordedEvent
from lvsctl.times import format_utc

router = APIRouter(prefix="/events", tags=["events"])

KEEP_ALIVE_S = 15.0
"""Interval of comments while there are no events, so that proxies keep the connection open."""

MAX_ID = 2**63 - 1
ID = re.compile("[0-9]{1,19}")


class EventStream(StreamingResponse):
    """A stream of server-sent events."""

    media_type = "text/event-stream"


@router.get(
    "",
    summary="Stream events",
    response_class=StreamingResponse,
    responses={
        HTTPStatus.OK.value: {
            "description": "Server-sent events. `id` is the position to resume from, `event` the "
            "kind, `data` a JSON object: `id`, `at`, `kind`, `subject`, `detail`, `items`, `by`, "
            "and the `code` of the reason that the detail gives. If requested events are no longer "
            "kept, an event `lost`, without an id, says how many are missing.",
            "content": {
                "text/event-stream": {
                    "itemSchema": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "event": {"type": "string"},
                            "data": {"type": "string", "contentMediaType": "application/json"},
                        },
                    }
                }
            },
        },
        **refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
    },
)
async def get_events(
    daemon: Daemon,
    asking: Asking,
    after: Annotated[
        int | None,
        Query(
            ge=0,
            le=MAX_ID,
            description="Id of the event to start after; 0 for all that are kept; default: only "
            "new events.",
        ),
    ] = None,
    last_event_id: Annotated[
        str,
        Header(
            description="Id of the last event received, which browsers send when they reconnect; "
            "overrides `after`.",
            json_schema_extra={"pattern": "^[0-9]{0,18}$"},
        ),
    ] = "",
    *,
    follow: Annotated[bool, Query(description="Keep the stream open for new events.")] = True,
) -> Response:
    """The latest ten thousand events, which survive restarts, and new ones as they happen.

    Beyond that number, the kind and subject with the most events lose their oldest. Only
    administrators see changes of tokens.
    """
    events = daemon.events
    begin = _given(last_event_id, after)
    last_id = events.last_id if begin is None else begin
    stream = _stream(events, last_id, asking, follow=follow)
    return EventStream(stream, headers={"Cache-Control": "no-store"})


def _given(last_event_id: str, after: int | None) -> int | None:
    if not last_event_id:
        return after
    if not ID.fullmatch(last_event_id) or int(last_event_id) > MAX_ID:
        detail = f"the header Last-Event-ID is not the id of an event: {last_event_id[:40]!r}"
        raise InvalidInput([Problem("", detail, "the id of a received event, a number")])
    return int(last_event_id)


async def _stream(
    events: Events, last_id: int, asking: Principal, *, follow: bool
) -> AsyncIterator[bytes]:
    # An id without data is not an event, but lets a client that saw none resume from here.
    yield b"id: %d\n\n" % last_id
    while True:
        found = events.after(last_id)
        if not found and (events.ended or not follow):
            return
        if not found:
            found = await events.wait_after(last_id, KEEP_ALIVE_S)
        if not found:
            yield b":\n\n"
            continue
        missing = found[-1].id - last_id - len(found)
        if missing > 0:
            yield _lost(missing, last_id, found[-1].id)
        yield b"".join(_written(each, asking) for each in found)
        last_id = found[-1].id


def _written(recorded: RecordedEvent, asking: Principal) -> bytes:
    document = event_document(recorded, asking)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        recorded.id,
        recorded.event.kind.encode(),
        json_bytes(document),
    )


def _lost(missing: int, after: int, until: int) -> bytes:
    detail = f"between {after} and {until}, {missing} events are no longer kept"
    return b"event: lost\ndata: %b\n\n" % json_bytes({"kind": "lost", "detail": detail})


def event_document(recorded: RecordedEvent, asking: Principal) -> Json:
    """Return an event as a document, with what somebody may read of it."""
    event = recorded.event
    return {
        "id": recorded.id,
        "at": format_utc(recorded.at),
        "kind": event.kind.value,
        "subject": event.subject,
        "detail": event.detail,
        "items": [*readable_lines(asking, event.items)],
        "by": event.by,
        "code": event.code,
    }
