"""Dependencies of the routes: the director, and a snapshot of what it knows."""

from typing import Annotated

from fastapi import Depends, Request

from api.views import DirectorSnapshot
from lvsctl.director.daemon import DirectorDaemon


async def daemon_of(request: Request) -> DirectorDaemon:
    """Return the daemon that the app serves."""
    daemon: DirectorDaemon = request.app.state.daemon
    return daemon


Daemon = Annotated[DirectorDaemon, Depends(daemon_of)]


async def snapshot_of(daemon: Daemon) -> DirectorSnapshot:
    """Return everything that the director knows now."""
    return DirectorSnapshot(
        daemon.state,
        daemon.loop.view,
        daemon.agents.contacts,
        daemon.now(),
        daemon.clock.monotonic(),
        daemon.drains.countdowns,
        daemon.drains.deadlines,
        daemon.health.verdicts.all,
    )


CurrentSnapshot = Annotated[DirectorSnapshot, Depends(snapshot_of)]
