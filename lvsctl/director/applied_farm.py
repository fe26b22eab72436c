"""Records the farm that was applied last, to recognize a store that must not be followed."""

import asyncio
import contextlib

from lvsctl.director.problems import Component, Problems
from lvsctl.director.state import State, contents_of
from lvsctl.errors import StoreError
from lvsctl.store.interface import LocalState
from lvsctl.worker import Worker

REMEMBER_EVERY_S = 1.0
"""Minimum interval between writes, however often the farm changes."""


class AppliedFarm:
    """Writes the applied farm to the local state, without delaying writes; on the event loop.

    Args:
        local: This director's local state; used only in ``kernel``.
        kernel: The kernel's thread.
        problems: Informed of disk errors; the write is retried.
    """

    def __init__(self, local: LocalState, kernel: Worker, problems: Problems) -> None:
        self._local = local
        self._kernel = kernel
        self._problems = problems
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
        with self._problems.watching(Component.LOCAL_STATE):
            await self._kernel.run(lambda: self._local.remember(contents_of(state)))
        self._kept = state
