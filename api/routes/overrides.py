"""Administrative states and run-time weights of real servers."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.daemon import CurrentSnapshot, Daemon
from api.documentation import BODY, CREATED, MISSING, STALE, takes
from api.rendering import json_response
from api.resources import OverrideResource, override_tag
from api.routes.parameters import PoolName, ServerName
from api.schemas.answers import WriteAnswer
from api.schemas.override import Override, OverrideAnswer
from api.views import member_of
from api.writes import Write
from lvsctl.errors import NotFound
from lvsctl.farm.status import ServerId

router = APIRouter(prefix="/pools/{pool}/real-servers/{server}/override", tags=["overrides"])


@router.get("", summary="Show an override", response_model=OverrideAnswer, responses=MISSING)
async def get_override(pool: PoolName, server: ServerName, snapshot: CurrentSnapshot) -> Response:
    """The override of a server; 404 if it has none."""
    member = member_of(snapshot.state, pool, server)
    override = snapshot.state.status.overrides.get(member.id)
    if override is None:
        raise NotFound(f"real server {member.id} has no override")
    return json_response(
        OverrideAnswer.of(override).plain(), etag=override_tag(snapshot.state, member.id)
    )


@router.put(
    "",
    summary="Override a real server",
    response_model=WriteAnswer,
    responses=CREATED | MISSING | BODY | STALE,
    openapi_extra=takes(Override),
)
async def put_override(
    pool: PoolName,
    server: ServerName,
    daemon: Daemon,
    write: Write,
    *,
    force: Annotated[bool, Query(description="Do it even if no other server serves.")] = False,
) -> Response:
    """Set an administrative state and a run-time weight, which farm files and agents do not undo.

    Taking the last server of a service out needs force.
    """
    return await write.put(
        OverrideResource(ServerId(pool, server), write.by, daemon.now(), force=force)
    )


@router.delete("", summary="End an override", response_model=WriteAnswer, responses=MISSING | STALE)
async def delete_override(
    pool: PoolName, server: ServerName, daemon: Daemon, write: Write
) -> Response:
    """Remove the override, so the declaration applies again; idempotent."""
    return await write.delete(OverrideResource(ServerId(pool, server), write.by, daemon.now()))
