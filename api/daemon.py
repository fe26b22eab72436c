"""The director that the routes speak for."""

from typing import Annotated

from fastapi import Depends, Request

from api.views import Known
from lvsctl.director.daemon import DirectorDaemon


async def daemon_of(request: Request) -> DirectorDaemon:
    """Return the daemon that the app was made for."""
    daemon: DirectorDaemon = request.app.state.daemon
    return daemon


Daemon = Annotated[DirectorDaemon, Depends(daemon_of)]


async def known_of(daemon: Daemon) -> Known:
    """Return all that the director knows at this moment."""
    return Known(
        daemon.state,
        daemon.loop.view,
        daemon.agents.contacts,
        daemon.now(),
        daemon.clock.monotonic(),
        daemon.drains.countdowns,
        daemon.drains.deadlines,
        daemon.health.verdicts.all,
    )


Now = Annotated[Known, Depends(known_of)]
