"""Pools and their real servers."""

from fastapi import APIRouter
from starlette.responses import Response

from api.daemon import CurrentSnapshot
from api.documentation import BODY, CREATED, MISSING, STALE, takes, takes_patch
from api.rendering import large_response
from api.resources import PoolResource, RealServerResource
from api.routes.parameters import PoolName, ServerName
from api.schemas.answers import WriteAnswer
from api.schemas.pool import Pool, RealServer
from api.schemas.status import PoolAnswer, Pools, RealServerAnswer, RealServers
from api.views import member_of, pool_document, server_document
from api.writes import Write
from lvsctl.director.write.edits import pool_of
from lvsctl.farm.members import members
from lvsctl.farm.status import ServerId

router = APIRouter(prefix="/pools", tags=["pools"])


@router.get("", summary="List pools", response_model=Pools)
async def list_pools(snapshot: CurrentSnapshot) -> Response:
    """All pools with their status."""
    return await large_response(
        lambda: {
            "pools": [pool_document(pool, snapshot) for pool in snapshot.state.farm.pools.values()]
        }
    )


@router.get("/{pool}", summary="Show a pool", response_model=PoolAnswer, responses=MISSING)
async def get_pool(pool: PoolName, snapshot: CurrentSnapshot) -> Response:
    """A pool with its ETag; its status also lists servers that agents joined."""
    return await large_response(
        lambda: pool_document(pool_of(snapshot.state, pool), snapshot),
        etag=PoolResource(pool).etag(snapshot.state),
    )


@router.put(
    "/{pool}",
    summary="Create or replace a pool",
    response_model=WriteAnswer,
    responses=CREATED | BODY | STALE,
    openapi_extra=takes(Pool),
)
async def put_pool(pool: PoolName, write: Write) -> Response:
    """Create or replace a pool with all its declared servers; those of agents stay."""
    return await write.put(PoolResource(pool))


@router.patch(
    "/{pool}",
    summary="Change a pool",
    response_model=WriteAnswer,
    responses=MISSING | BODY | STALE,
    openapi_extra=takes_patch(Pool, {"tunnel": {"type": "ipip"}}),
)
async def patch_pool(pool: PoolName, write: Write) -> Response:
    """A merge patch (RFC 7396). It replaces lists: to change one server, patch that instead."""
    return await write.patch(PoolResource(pool))


@router.delete(
    "/{pool}", summary="Remove a pool", response_model=WriteAnswer, responses=MISSING | STALE
)
async def delete_pool(pool: PoolName, write: Write) -> Response:
    """Remove a pool that no service uses."""
    return await write.delete(PoolResource(pool))


@router.get(
    "/{pool}/real-servers",
    summary="List the real servers of a pool",
    response_model=RealServers,
    responses=MISSING,
)
async def list_real_servers(pool: PoolName, snapshot: CurrentSnapshot) -> Response:
    """All real servers of a pool, declared and joined by agents, with their status."""
    found = pool_of(snapshot.state, pool)
    return await large_response(
        lambda: {
            "real_servers": [
                server_document(member, found, snapshot)
                for member in members(found, snapshot.state.status)
            ]
        }
    )


@router.get(
    "/{pool}/real-servers/{server}",
    summary="Show a real server",
    response_model=RealServerAnswer,
    responses=MISSING,
)
async def get_real_server(
    pool: PoolName, server: ServerName, snapshot: CurrentSnapshot
) -> Response:
    """A real server as declared, or as registered by its agent, with its ETag and status."""
    member = member_of(snapshot.state, pool, server)
    return await large_response(
        lambda: server_document(member, pool_of(snapshot.state, pool), snapshot),
        etag=RealServerResource(ServerId(pool, server)).etag(snapshot.state),
    )


@router.put(
    "/{pool}/real-servers/{server}",
    summary="Declare a real server",
    response_model=WriteAnswer,
    responses=CREATED | MISSING | BODY | STALE,
    openapi_extra=takes(RealServer),
)
async def put_real_server(pool: PoolName, server: ServerName, write: Write) -> Response:
    """Create or replace the declaration; a server joined by an agent becomes a declared one."""
    return await write.put(RealServerResource(ServerId(pool, server)))


@router.patch(
    "/{pool}/real-servers/{server}",
    summary="Change a real server",
    response_model=WriteAnswer,
    responses=MISSING | BODY | STALE,
    openapi_extra=takes_patch(RealServer, {"weight": 50}),
)
async def patch_real_server(pool: PoolName, server: ServerName, write: Write) -> Response:
    """A merge patch (RFC 7396) of the declaration."""
    return await write.patch(RealServerResource(ServerId(pool, server)))


@router.delete(
    "/{pool}/real-servers/{server}",
    summary="Remove a real server",
    response_model=WriteAnswer,
    responses=MISSING | STALE,
)
async def delete_real_server(pool: PoolName, server: ServerName, write: Write) -> Response:
    """Remove the declaration; the override is kept, in case the server returns."""
    return await write.delete(RealServerResource(ServerId(pool, server)))
