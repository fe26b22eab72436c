"""Tells the reconciler, people and the disk what has changed about verdicts."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from lvsctl.director.checks.events import health_events
from lvsctl.director.checks.verdicts import Verdicts
from lvsctl.errors import StoreError
from lvsctl.events import Event, EventKind
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import KeptVerdict

log = structlog.get_logger(__name__)

PERSIST_AGAIN_S = 5.0
"""After the disk has refused verdicts."""

Persist = Callable[[Mapping[ProbeId, KeptVerdict | None]], Awaitable[None]]
"""Keeps what has become of verdicts, durably; None forgets one."""


class Announcer:
    """Passes on changes of verdicts; lives on the director's event loop.

    Args:
        verdicts: Whose changes.
        persist: Keeps them.
        on_health_changed: Called with servers whose health has changed.
        emit: Takes the events.
    """

    def __init__(
        self,
        verdicts: Verdicts,
        persist: Persist,
        on_health_changed: Callable[[Collection[TargetId]], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._verdicts = verdicts
        self._persist = persist
        self._on_health_changed = on_health_changed
        self._emit = emit
        self._unkept: dict[ProbeId, KeptVerdict | None] = {}
        self._has_unkept = asyncio.Event()

    def announce(self) -> None:
        """Pass on what has changed since the last call; the disk follows in its own time."""
        news = self._verdicts.take_news()
        if news.turns:
            self._on_health_changed(news.turns.keys())
        for event in health_events(news):
            note = log.info if event.kind is EventKind.SERVER_UP else log.warning
            note(str(event.kind), subject=event.subject, detail=event.detail)
            self._emit(event)
        if news.to_keep:
            self._unkept |= news.to_keep
            self._has_unkept.set()

    async def run(self) -> None:
        """Persist verdicts until cancelled; on a disk error keep serving and retry."""
        while True:
            await self._has_unkept.wait()
            self._has_unkept.clear()
            changes, self._unkept = self._unkept, {}
            try:
                await self._persist(changes)
            except StoreError as error:
                log.warning("verdicts could not be kept", reason=str(error))
                self._unkept = {**changes, **self._unkept}
                await asyncio.sleep(PERSIST_AGAIN_S)
                self._has_unkept.set()
