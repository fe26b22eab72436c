"""The whole farm."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.bodies import MAX_FARM_BYTES
from api.daemon import Daemon
from api.documentation import BODY, STALE, refusals, takes
from api.preconditions import Conditions, known_tags
from api.rendering import json_bytes, json_response, large_response
from api.resources import FarmResource
from api.schemas.answers import WriteAnswer
from api.schemas.farm import Farm
from api.schemas.fields import MAX_REVISION
from api.writes import Write
from lvsctl.director.state import State

router = APIRouter(tags=["farm"])


class FarmText:
    """The farm as JSON, serialized once per revision of a store."""

    def __init__(self) -> None:
        self._of: tuple[str, int] | None = None
        self._etag, self._content = "", b""

    async def at(self, state: State) -> tuple[str, bytes]:
        """Return the entity tag and the text of the farm in a state."""
        of = (state.farm_id, state.revision)
        if of == self._of:
            return self._etag, self._content
        etag, content = await asyncio.to_thread(_written, state)
        self._of, self._etag, self._content = of, etag, content
        return etag, content


def _written(state: State) -> tuple[str, bytes]:
    return FarmResource().etag(state), json_bytes(Farm.of(state.farm).plain())


@router.get(
    "/farm",
    summary="Show the farm",
    response_model=Farm,
    responses={
        HTTPStatus.NOT_MODIFIED.value: {"description": "It has not changed."},
        **refusals(HTTPStatus.NOT_FOUND),
    },
)
async def get_farm(
    request: Request,
    daemon: Daemon,
    conditions: Conditions,
    revision: Annotated[
        int | None,
        Query(ge=0, le=MAX_REVISION, description="As it was at this revision of the store."),
    ] = None,
) -> Response:
    """The whole farm, as in a farm file, with its ETag; an earlier one has none."""
    if revision is not None:
        past = await daemon.writer.history.farm_at(revision)
        return await large_response(lambda: Farm.of(past).plain())
    etag, content = await request.app.state.farm_text.at(daemon.state)
    if etag in known_tags(conditions):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    return json_response(content, etag=etag)


@router.put(
    "/farm",
    summary="Replace the farm",
    response_model=WriteAnswer,
    responses=BODY | STALE,
    openapi_extra=takes(Farm),
)
async def put_farm(
    write: Write,
    *,
    dry_run: Annotated[
        bool, Query(description="Show what would change, and change nothing.")
    ] = False,
    force: Annotated[bool, Query(description="Do it even if it removes most of the farm.")] = False,
) -> Response:
    """Replace the farm; overrides and agents are kept. services and pools are required."""
    resource = FarmResource(force=force)
    put = write.dry_put if dry_run else write.put
    return await put(resource, MAX_FARM_BYTES)
