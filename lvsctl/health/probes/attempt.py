"""Runs a probe, and turns its result, error or timeout into an outcome."""

import asyncio
from collections.abc import Awaitable, Callable

from lvsctl.errors import LvsctlError
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons

BEHIND_S = 0.1
"""A timeout that fires this late does not count: the answer may be unread in the socket."""


class WrongAnswer(LvsctlError):
    """The server did not answer as expected: the probe fails."""


class Unreached(WrongAnswer):
    """The network reports the server unreachable: the probe fails."""


class OwnFault(LvsctlError):
    """This host could not send the request: the probe is inconclusive."""


class Attempt:
    """A probe in progress.

    Attributes:
        target: The target.
        awaits: What it is waiting for, for the reason of a timeout.
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
        """Time that the server took, or has taken so far."""
        return self._clock() - self._began_s if self._took_s is None else self._took_s

    def stop_the_clock(self) -> None:
        """Stop timing: the server has answered, the rest is this host's work."""
        self._took_s = self.took_s
        self._limit.reschedule(None)

    @property
    def where(self) -> str:
        """Address and port, if any, of the target, as people write them."""
        address, port = str(self.target.address), self.target.port
        if not port:
            return address
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


async def outcome_of(
    ask: Callable[[Attempt], Awaitable[None]], target: Target, timeout_s: float
) -> Outcome:
    """Run a probe until it ends or times out.

    Args:
        ask: Returns if the server answered as expected; else raises WrongAnswer or OwnFault.
        target: The target.
        timeout_s: For the whole probe.
    """
    limit = asyncio.timeout(timeout_s)
    attempt = Attempt(target, limit)
    try:
        async with limit:
            await ask(attempt)
    except WrongAnswer as error:
        return ProbeFailed(error.reason, attempt.took_s, silent=isinstance(error, Unreached))
    except OwnFault as error:
        return Inconclusive(error.reason)
    except TimeoutError:
        took_s = attempt.took_s
        if took_s > timeout_s + BEHIND_S:
            return Inconclusive(reasons.BUSY(timeout_s=timeout_s, took_s=round(took_s, 2)))
        reason = reasons.TIMED_OUT(attempt.where, timeout_s=timeout_s, awaited=attempt.awaits)
        return ProbeFailed(reason, took_s, silent=not attempt.heard)
    return Passed(attempt.took_s)
