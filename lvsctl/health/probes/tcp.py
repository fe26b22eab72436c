"""TCP probe: the server accepts a connection."""

from lvsctl.farm.checks import TcpRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, outcome_of
from lvsctl.health.probes.sockets import connected
from lvsctl.health.target import Target


async def probe(_request: TcpRequest, target: Target, timeout_s: float) -> Outcome:
    """Connect to a server."""

    async def ask(attempt: Attempt) -> None:
        async with connected(attempt):
            pass

    return await outcome_of(ask, target, timeout_s)
