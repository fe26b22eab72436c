"""Remembers which farm was applied last: by that a director knows a store that is no order."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from lvsctl.director.state import State
from lvsctl.errors import StoreError

REMEMBER_EVERY_S = 1.0
"""A farm that is written all the time costs the disk no more than that."""


class AppliedFarm:
    """Writes what was applied to the local state, off the way of writes; lives on the event loop.

    Args:
        remember: Keeps a state, durably; raises StoreError where the disk refuses it, and is asked
            again.
    """

    def __init__(self, remember: Callable[[State], Awaitable[None]]) -> None:
        self._remember = remember
        self._newest: State | None = None
        self._kept: State | None = None
        self._is_newer = asyncio.Event()

    def applied(self, state: State) -> None:
        """Take note of a state that a cycle has worked towards."""
        if self._newest is None or self._newest.position != state.position:
            self._newest = state
            self._is_newer.set()

    async def run(self) -> None:
        """Remember what was applied until cancelled."""
        while True:
            await self._is_newer.wait()
            self._is_newer.clear()
            with contextlib.suppress(StoreError):
                await self.keep()
            if self._kept is not self._newest:
                self._is_newer.set()
            await asyncio.sleep(REMEMBER_EVERY_S)

    async def keep(self) -> None:
        """Remember what was applied by now.

        Raises:
            StoreError: The disk refuses it.
        """
        state = self._newest
        if state is None or state is self._kept:
            return
        await self._remember(state)
        self._kept = state
