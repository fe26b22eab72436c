"""Services."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.access import Asking
from api.daemon import CurrentSnapshot, Daemon
from api.documentation import BODY, CONFLICT, CREATED, MISSING, STALE, takes, takes_patch
from api.rendering import large_response
from api.resources import ServiceResource
from api.routes.parameters import ServiceName
from api.schemas.answers import AdoptAnswer, WriteAnswer
from api.schemas.service import Service
from api.schemas.status import ServiceAnswer, Services
from api.views import service_document, service_of
from api.writes import Write

router = APIRouter(tags=["services"])

Force = Annotated[bool, Query(description="Do it even if it removes destinations.")]


@router.get("/services", summary="List services", response_model=Services)
async def list_services(snapshot: CurrentSnapshot) -> Response:
    """All services with their status."""
    return await large_response(
        lambda: {
            "services": [
                service_document(service, snapshot)
                for service in snapshot.state.farm.services.values()
            ]
        }
    )


@router.get(
    "/services/{service}",
    summary="Show a service",
    response_model=ServiceAnswer,
    responses=MISSING,
)
async def get_service(service: ServiceName, snapshot: CurrentSnapshot) -> Response:
    """A service with its ETag, and its status, which the ETag does not cover."""
    return await large_response(
        lambda: service_document(service_of(snapshot.state, service), snapshot),
        etag=ServiceResource(service).etag(snapshot.state),
    )


@router.put(
    "/services/{service}",
    summary="Create or replace a service",
    response_model=WriteAnswer,
    responses=CREATED | BODY | STALE,
    openapi_extra=takes(Service),
)
async def put_service(service: ServiceName, write: Write) -> Response:
    """Create or replace a service. The name may be left out of the document; status is ignored."""
    return await write.put(ServiceResource(service))


@router.patch(
    "/services/{service}",
    summary="Change a service",
    response_model=WriteAnswer,
    responses=MISSING | BODY | STALE,
    openapi_extra=takes_patch(Service, {"scheduler": "wrr", "persistence": None}),
)
async def patch_service(service: ServiceName, write: Write) -> Response:
    """A merge patch (RFC 7396) of the declaration, applied to its value when it is stored."""
    return await write.patch(ServiceResource(service))


@router.delete(
    "/services/{service}",
    summary="Remove a service",
    response_model=WriteAnswer,
    responses=MISSING | STALE,
)
async def delete_service(service: ServiceName, write: Write) -> Response:
    """Remove a service: first its VIP, then its virtual services, then the VIP on agents."""
    return await write.delete(ServiceResource(service))


@router.post(
    "/services/{service}/adopt",
    summary="Adopt a service",
    response_model=AdoptAnswer,
    responses=MISSING | CONFLICT,
)
async def adopt_service(
    service: ServiceName, daemon: Daemon, asking: Asking, *, force: Force = False
) -> Response:
    """Take over its virtual services that lvsctl did not create; they are edited in place."""
    adopted = await daemon.adopt([service], force=force, by=asking.author, source=asking.source)
    daemon.acts.record(asking, f"adopt {', '.join(map(str, adopted)) or 'nothing'}"[:300])
    return await large_response(lambda: {"adopted": [*map(str, adopted)]})


@router.post("/adopt", summary="Adopt all services", response_model=AdoptAnswer, responses=CONFLICT)
async def adopt_all(daemon: Daemon, asking: Asking, *, force: Force = False) -> Response:
    """Take over every virtual service that the farm declares but lvsctl did not create."""
    adopted = await daemon.adopt(None, force=force, by=asking.author, source=asking.source)
    daemon.acts.record(asking, f"adopt {', '.join(map(str, adopted)) or 'nothing'}"[:300])
    return await large_response(lambda: {"adopted": [*map(str, adopted)]})
