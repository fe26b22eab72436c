"""From what happens to a probe under way to how it ended."""

import asyncio
from collections.abc import Awaitable, Callable

from lvsctl.errors import LvsctlError
from lvsctl.health.outcome import Failed, Inconclusive, Outcome, Passed
from lvsctl.health.target import Target

BEHIND_S = 0.1
"""An event loop so late says nothing about the server: its answer may lie unread."""


class WrongAnswer(LvsctlError):
    """The server did not answer as it should; ends the probe as failed."""


class Unreached(WrongAnswer):
    """Nothing came back from the server, and somebody said so; ends the probe as failed."""


class OwnFault(LvsctlError):
    """This host could not ask; ends the probe as inconclusive."""


class Attempt:
    """A probe under way.

    Attributes:
        target: Whom it asks.
        awaits: What it waits for now, for the reason where its time runs out.
        heard: Something has come back from the target.
    """

    def __init__(self, target: Target, limit: asyncio.Timeout) -> None:
        self.target = target
        self.awaits = "an answer"
        self.heard = False
        self._limit = limit
        self._clock = asyncio.get_running_loop().time
        self._began_s = self._clock()
        self._took_s: float | None = None

    @property
    def took_s(self) -> float:
        """How long the server took, or has taken so far."""
        return self._clock() - self._began_s if self._took_s is None else self._took_s

    def stop_the_clock(self) -> None:
        """Say that the server has answered: what follows is this host's time."""
        self._took_s = self.took_s
        self._limit.reschedule(None)

    @property
    def where(self) -> str:
        """The address that is asked, with its port if it has one, as people write them."""
        address, port = str(self.target.address), self.target.port
        if not port:
            return address
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


async def outcome_of(
    ask: Callable[[Attempt], Awaitable[None]], target: Target, timeout_s: float
) -> Outcome:
    """Run a probe to its end or to the end of its time, and return how it ended.

    Args:
        ask: Returns where the server answered as it should; raises WrongAnswer or OwnFault.
        target: Whom it asks.
        timeout_s: For all of it.
    """
    limit = asyncio.timeout(timeout_s)
    attempt = Attempt(target, limit)
    try:
        async with limit:
            await ask(attempt)
    except WrongAnswer as error:
        return Failed(str(error), attempt.took_s, silent=isinstance(error, Unreached))
    except OwnFault as error:
        return Inconclusive(str(error))
    except TimeoutError:
        took_s = attempt.took_s
        if took_s > timeout_s + BEHIND_S:
            return Inconclusive(
                f"this host was busy: a probe of {timeout_s:g} s took {took_s:.2f} s"
            )
        reason = f"{attempt.where}: timed out after {timeout_s:g} s, waiting for {attempt.awaits}"
        return Failed(reason, took_s, silent=not attempt.heard)
    return Passed(attempt.took_s)
