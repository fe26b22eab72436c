"""The REST surface of a director, as an ASGI app."""

import asyncio
import copy
import functools
from collections.abc import Collection
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from api import problems
from api.access import Access
from api.documentation import EVERY, Contract
from api.permissions import Permissions
from api.rendering import MEDIA_TYPE, json_bytes
from api.routes import (
    agents,
    audit,
    connections,
    events,
    farm,
    health,
    history,
    kernel,
    metrics,
    mode,
    overrides,
    pools,
    services,
    tokens,
    tunnels,
)
from api.same_origin import SameOrigin
from lvsctl.director.daemon import DirectorDaemon

OPENAPI_PATH = "/openapi.json"
DESCRIPTION = """
Web farms behind Linux Virtual Server in IP-tunnel mode: the declared farm, its status at run time,
and this director's kernel.

A write returns when it is stored; with `wait` it returns when this director's kernel has applied
it, or says why not. Every object has an `ETag`: with `If-Match` a write fails with 412 if the
object has changed in the meantime, and `If-None-Match: *` only creates. `status` is the state at
run time; it is ignored in requests.
"""


def create_app(daemon: DirectorDaemon, host_names: Collection[str] = ()) -> FastAPI:
    """Return the app of a director.

    Args:
        daemon: The director.
        host_names: Host names that clients may use, besides its addresses and its own name.
    """
    app = copy.copy(prepared_app())
    permissions: Permissions = app.state.permissions
    app.state = State({"daemon": daemon, "contract": app.state.contract})
    app.state.large_bodies = asyncio.Lock()
    app.state.farm_text = farm.FarmText()
    app.state.scrapes = metrics.Scrapes()
    app.user_middleware = [
        Middleware(SameOrigin, host_names=(daemon.name, *host_names)),
        Middleware(
            Access,
            permissions=permissions,
            credentials=lambda: app.state.daemon.credentials,
            refusals=lambda: app.state.daemon.refusals,
        ),
    ]
    return app


@functools.cache
def prepared_app() -> FastAPI:
    """Return what all apps of this process share; creating it takes a quarter of a second."""
    app = FastAPIOffline(
        title="lvsctl",
        openapi_url=OPENAPI_PATH,
        version=version("lvsctl"),
        summary="Control plane for Linux Virtual Server in IP-tunnel mode",
        description=DESCRIPTION,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(_version_1())
    # Built now: on the first request it would block the event loop.
    app.state.contract = contract = Contract(app)
    app.state.permissions = Permissions(contract.document["paths"])
    app.openapi = lambda: contract.document  # type: ignore[method-assign]
    _serve_contract(app, contract)
    return app


def _serve_contract(app: FastAPI, contract: Contract) -> None:
    # FastAPI would serialize it for each request, which needs no token.
    text = json_bytes(contract.document)

    async def openapi(_: Request) -> Response:
        return Response(text, media_type=MEDIA_TYPE)

    app.router.routes.insert(0, Route(OPENAPI_PATH, openapi, include_in_schema=False))


def _version_1() -> APIRouter:
    router = APIRouter(prefix="/v1", responses=EVERY, dependencies=[Depends(_known_query)])
    farms = (farm, services, pools, overrides, tunnels, agents)
    for subject in (*farms, history, kernel, connections, mode, events, tokens, audit):
        router.include_router(subject.router)
    router.include_router(tokens.join_router)
    router.include_router(health.problems_router)
    return router


async def _known_query(request: Request) -> None:
    request.app.state.contract.refuse_unknown_query(request)
