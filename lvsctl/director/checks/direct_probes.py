"""Asks a server directly what it did not answer through the tunnel, to know what that means."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lvsctl.director.checks.expand import CheckedServer
from lvsctl.farm.checks import Request
from lvsctl.health.outcome import Outcome
from lvsctl.health.prober import Probe
from lvsctl.health.target import ProbeId, Target

ASK_AGAIN_S = 5.0
AT_ONCE = 64
"""How many probes may be under way: they only give reasons, and must not keep probes waiting."""

_Question = tuple[Request, Target]


@dataclass(frozen=True, slots=True)
class _Said:
    outcome: Outcome
    at_s: float


class DirectProbes:
    """The direct questions of one director; lives on its event loop.

    Checks of several pools may come to one question. It is asked once, and its answer counts for
    each of them until that check passes.

    Args:
        probe: Asks once.
        answered: Told of a server that has answered, or has not.
    """

    def __init__(self, probe: Probe, answered: Callable[[CheckedServer], None]) -> None:
        self._probe = probe
        self._answered = answered
        self._said: dict[_Question, _Said] = {}
        self._askers: dict[_Question, dict[ProbeId, CheckedServer]] = {}
        self._under_way: dict[_Question, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def said(self, asked: CheckedServer) -> Outcome | None:
        """Return how a question ended when it was asked directly last; None where it was not."""
        question = _question(asked)
        if question is None or asked.id not in self._askers.get(question, {}):
            return None
        said = self._said.get(question)
        return said.outcome if said else None

    def is_asking(self, asked: CheckedServer) -> bool:
        """Say whether a direct question to a server is still unanswered."""
        return _question(asked) in self._under_way

    def ask(self, asked: CheckedServer) -> None:
        """Ask soon, if that was not done just now."""
        question = _question(asked)
        if question is None:
            return
        self._askers.setdefault(question, {})[asked.id] = asked
        if question in self._under_way:
            return
        said = self._said.get(question)
        if said is None or asyncio.get_running_loop().time() >= said.at_s + ASK_AGAIN_S:
            task = asyncio.create_task(self._ask(asked, *question))
            self._under_way[question] = task
            task.add_done_callback(lambda _: self._under_way.pop(question, None))

    def forget(self, asked: CheckedServer) -> None:
        """What was said is of no use to this check any more."""
        question = _question(asked)
        askers = self._askers.get(question) if question else None
        if question is None or not askers:
            return
        askers.pop(asked.id, None)
        if not askers:
            del self._askers[question]
            self._said.pop(question, None)

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, asked: CheckedServer, request: Request, target: Target) -> None:
        async with self._room:
            outcome = await self._probe(request, target, asked.check.timeout_s)
        said = _Said(outcome, asyncio.get_running_loop().time())
        askers = self._askers.get((request, target))
        if askers:
            self._said[request, target] = said
            for each in tuple(askers.values()):
                self._answered(each)


def _question(asked: CheckedServer) -> _Question | None:
    return None if asked.direct is None else (asked.check.request, asked.direct)
