"""The REST surface of a director, as an ASGI app."""

import copy
import functools
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.datastructures import State
from starlette.middleware import Middleware

from api import problems
from api.access import BearerToken
from api.documentation import EVERY, Contract
from api.routes import (
    agents,
    events,
    farm,
    health,
    kernel,
    metrics,
    mode,
    overrides,
    pools,
    services,
    tunnels,
)
from lvsctl.director.daemon import DirectorDaemon

DESCRIPTION = """
Web farms behind Linux Virtual Server in IP-tunnel mode: what people declare, what is known at run
time, and what this director's kernel has.

A write answers when it is stored; with `wait` it answers when this director's kernel is as
written, or says why it is not. Every object has an `ETag`: with `If-Match` a write loses with 412
against one that was faster, `If-None-Match: *` only creates. `status` beside what is declared is
what is known at run time: it may be sent back and is passed over.
"""


def create_app(daemon: DirectorDaemon, token: str | None) -> FastAPI:
    """Return the app that speaks for a director.

    Args:
        daemon: Whose farm and kernel it is about.
        token: That requests must carry; None asks for none.
    """
    app = copy.copy(prepared_app())
    app.state = State({"daemon": daemon, "contract": app.state.contract})
    app.state.farm_text = farm.FarmText()
    app.state.scrapes = metrics.Scrapes()
    app.user_middleware = [Middleware(BearerToken, token=token)]
    return app


@functools.cache
def prepared_app() -> FastAPI:
    """Return what all apps of this process have in common; it takes a quarter of a second."""
    app = FastAPIOffline(
        title="lvsctl",
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
    # Made now: the first to ask for it would hold up the event loop.
    app.state.contract = contract = Contract(app)
    app.openapi = lambda: contract.document  # type: ignore[method-assign]
    return app


def _version_1() -> APIRouter:
    router = APIRouter(prefix="/v1", responses=EVERY, dependencies=[Depends(_known_query)])
    for subject in (farm, services, pools, overrides, tunnels, agents, kernel, mode, events):
        router.include_router(subject.router)
    return router


async def _known_query(request: Request) -> None:
    request.app.state.contract.refuse_unknown_query(request)
