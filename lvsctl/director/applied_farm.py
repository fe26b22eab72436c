"""Records the farm that was applied last, to recognize a store that must not be followed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from lvsctl.director.state import State
from lvsctl.errors import StoreError

REMEMBER_EVERY_S = 1.0
"""Minimum interval between writes, however often the farm changes."""


class AppliedFarm:
    """Writes the applied farm to the local state, without delaying writes; on the event loop.

    Args:
        remember: Stores a state durably; raises StoreError on disk errors, and is then retried.
    """

    def __init__(self, remember: Callable[[State], Awaitable[None]]) -> None:
        self._remember = remember
        self._newest: State | None = None
        self._kept: State | None = None
        self._is_newer = asyncio.Event()

    def applied(self, state: State) -> None:
        """Note the state that a cycle has applied."""
        if self._newest is None or self._newest.position != state.position:
            self._newest = state
            self._is_newer.set()

    async def run(self) -> None:
        """Record what was applied, until cancelled."""
        while True:
            await self._is_newer.wait()
            self._is_newer.clear()
            with contextlib.suppress(StoreError):
                await self.keep()
            if self._kept is not self._newest:
                self._is_newer.set()
            await asyncio.sleep(REMEMBER_EVERY_S)

    async def keep(self) -> None:
        """Record what was applied so far.

        Raises:
            StoreError: The disk refuses it.
        """
        state = self._newest
        if state is None or state is self._kept:
            return
        await self._remember(state)
        self._kept = state
