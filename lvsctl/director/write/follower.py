"""Brings commits, by this director or another, from the store's thread to the event loop."""

import asyncio
from collections.abc import Callable

import structlog

from lvsctl.director.write.advance import Advance
from lvsctl.director.write.committer import Committer
from lvsctl.errors import StoreError
from lvsctl.reasons.reason import Reason
from lvsctl.worker import Worker

COMPACT_EVERY_S = 3600.0

log = structlog.get_logger(__name__)


class Follower:
    """Follows the steps of the replica, in order; used on the event loop.

    Args:
        commits: The committer, whose replica is followed; used only in ``store``.
        store: The store's thread.
        on_advance: Called for each step.
        on_error: Called with the reason if the store cannot be read.
    """

    def __init__(
        self,
        commits: Committer,
        store: Worker,
        on_advance: Callable[[Advance], None],
        on_error: Callable[[Reason], None],
    ) -> None:
        self._commits = commits
        self._store = store
        self._on_advance = on_advance
        self._on_error = on_error

    def take_in(self) -> None:
        """Act on the steps that the replica has made so far."""
        for step in self._commits.fetch():
            self._on_advance(step)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        loop = asyncio.get_running_loop()
        announced = asyncio.Event()
        announced.set()  # something may have been committed before this is subscribed

        def announce() -> None:
            loop.call_soon_threadsafe(announced.set)

        unsubscribe = self._commits.subscribe(announce)
        try:
            while True:
                await announced.wait()
                announced.clear()
                await self._catch_up()
        finally:
            unsubscribe()

    async def _catch_up(self) -> None:
        try:
            await self._store.run(self._commits.catch_up)
        except StoreError as error:
            self._on_error(error.reason)
        except Exception:
            # A defect in lvsctl must leave the kernel serving and the API answering.
            log.exception("the store could not be followed")
        self.take_in()

    async def compact(self) -> None:
        """Delete history past its retention, a part at a time, until cancelled.

        Between two parts the store's thread serves writes.
        """
        while True:
            try:
                while await self._store.run(self._commits.compact):
                    pass
            except StoreError as error:
                log.warning("the history could not be compacted", reason=str(error))
            except Exception:
                log.exception("the history could not be compacted")
            await asyncio.sleep(COMPACT_EVERY_S)
