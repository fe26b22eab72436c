"""Metrics for Prometheus."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from api.daemon import Daemon, snapshot_of
from api.documentation import refusals
from api.metrics import ScrapeInput, metrics_text
from api.pieces import PiecesResponse
from lvsctl.director.daemon import DirectorDaemon
from lvsctl.errors import KernelError
from lvsctl.store.interface import ModeName

router = APIRouter(tags=["metrics"])


class Scrapes:
    """Runs one scrape at a time, whose result all concurrent requests share.

    So several Prometheus servers cost no more than one, however large the table is.
    """

    def __init__(self) -> None:
        self._under_way: asyncio.Task[Sequence[bytes]] | None = None

    async def scrape(self, daemon: DirectorDaemon) -> Sequence[bytes]:
        """Return the result of the running scrape, or of a new one."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(_scrape(daemon))
        return await asyncio.shield(self._under_way)


async def _scrape(daemon: DirectorDaemon) -> Sequence[bytes]:
    try:
        reading = await daemon.table()
    except KernelError:
        reading = None
    scraped = ScrapeInput(
        daemon.name,
        await snapshot_of(daemon),
        daemon.mode.current.name is ModeName.OBSERVE,
        reading,
        daemon.loop.statistics,
        daemon.health.statistics.counts,
    )
    return await asyncio.to_thread(metrics_text, scraped)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses=refusals(HTTPStatus.UNAUTHORIZED),
)
async def get_metrics(request: Request, daemon: Daemon) -> Response:
    """Metrics in Prometheus' text format; needs the token."""
    pieces = await request.app.state.scrapes.scrape(daemon)
    return PiecesResponse(pieces, HTTPStatus.OK, {"Content-Type": CONTENT_TYPE_LATEST})
