"""Point-to-point tunnels."""

from fastapi import APIRouter
from starlette.responses import Response

from api.daemon import CurrentSnapshot
from api.documentation import BODY, CREATED, MISSING, STALE, takes, takes_patch
from api.rendering import large_response
from api.resources import TunnelResource
from api.routes.parameters import TunnelName
from api.schemas.answers import WriteAnswer
from api.schemas.tunnel import PointToPointTunnel, TunnelAnswer, Tunnels
from api.tunnel_views import tunnel_document, tunnel_of
from api.writes import Write

router = APIRouter(tags=["tunnels"])


@router.get("/tunnels", summary="List point-to-point tunnels", response_model=Tunnels)
async def list_tunnels(snapshot: CurrentSnapshot) -> Response:
    """All tunnels with their status."""
    return await large_response(
        lambda: {
            "tunnels": [
                tunnel_document(tunnel, snapshot) for tunnel in snapshot.state.farm.tunnels.values()
            ]
        }
    )


@router.get(
    "/tunnels/{tunnel}",
    summary="Show a point-to-point tunnel",
    response_model=TunnelAnswer,
    responses=MISSING,
)
async def get_tunnel(tunnel: TunnelName, snapshot: CurrentSnapshot) -> Response:
    """A tunnel with its ETag, and the state of each end as last reported by its agent."""
    return await large_response(
        lambda: tunnel_document(tunnel_of(snapshot.state, tunnel), snapshot),
        etag=TunnelResource(tunnel).etag(snapshot.state),
    )


@router.put(
    "/tunnels/{tunnel}",
    summary="Create or replace a point-to-point tunnel",
    response_model=WriteAnswer,
    responses=CREATED | BODY | STALE,
    openapi_extra=takes(PointToPointTunnel),
)
async def put_tunnel(tunnel: TunnelName, write: Write) -> Response:
    """Create or replace a tunnel; each agent, once it has joined, sets up its end."""
    return await write.put(TunnelResource(tunnel))


@router.patch(
    "/tunnels/{tunnel}",
    summary="Change a point-to-point tunnel",
    response_model=WriteAnswer,
    responses=MISSING | BODY | STALE,
    openapi_extra=takes_patch(PointToPointTunnel, {"mtu": 1400, "ttl": None}),
)
async def patch_tunnel(tunnel: TunnelName, write: Write) -> Response:
    """A merge patch (RFC 7396). Addresses and mtu change in place, other changes recreate it."""
    return await write.patch(TunnelResource(tunnel))


@router.delete(
    "/tunnels/{tunnel}",
    summary="Remove a point-to-point tunnel",
    response_model=WriteAnswer,
    responses=MISSING | STALE,
)
async def delete_tunnel(tunnel: TunnelName, write: Write) -> Response:
    """Remove a tunnel; its agents remove their ends."""
    return await write.delete(TunnelResource(tunnel))
