"""Finds out whether this director's disk takes what it will have to write."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from lvsctl.director.events.events import Events
from lvsctl.director.problems import Component, Problems
from lvsctl.errors import StoreError
from lvsctl.reasons import director as reasons
from lvsctl.reasons.reason import Reason

CHECK_EVERY_S = 5.0
NEEDED_BYTES = 8 * 1024 * 1024
"""A large write to the farm and the journal of every file fit into it."""

log = structlog.get_logger(__name__)


class SelfCheck:
    """Looks at free space all the time, and tries again what the disk has refused.

    A write that is tried changes nothing. While nothing is wrong none is made.

    Args:
        problems: Where what is found is reported.
        events: The history, which writes what it has left by itself.
        disk_problem: Says why the state folder's disk is not enough; None where it is.
        farm_problem: Says why the store is not followed; None where it is.
        writes: Tries a write, for each component that reports what the disk refuses.
    """

    def __init__(
        self,
        problems: Problems,
        events: Events,
        disk_problem: Callable[[], Awaitable[Reason | None]],
        farm_problem: Callable[[], Reason | None],
        writes: Mapping[Component, Callable[[], Awaitable[None]]],
    ) -> None:
        self.problems = problems
        self.events = events
        self._disk_problem = disk_problem
        self._farm_problem = farm_problem
        self._writes = writes

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self.check()
            except Exception:
                # A defect in lvsctl must leave the kernel serving and the API answering.
                log.exception("the director could not check itself")
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Look at the disk, and try again what it has refused."""
        self._note(Component.FARM, self._farm_problem())
        self._note(Component.DISK, await self._disk_problem())
        if self.events.problem:
            with contextlib.suppress(StoreError):
                await self.events.write()
        self._note(Component.EVENTS, self.events.problem)
        for component in self.problems.standing.keys() & self._writes.keys():
            with contextlib.suppress(StoreError), self.problems.watching(component):
                await self._writes[component]()

    def _note(self, component: Component, problem: Reason | None) -> None:
        if problem:
            self.problems.report(component, problem)
        else:
            self.problems.clear(component)


def disk_problem(folder: Path) -> Reason | None:
    """Return why the disk under a folder has no room; None where it has."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return reasons.STATE_FOLDER_LOST(folder, error=error.strerror)
    free = found.f_bavail * found.f_frsize
    if free < NEEDED_BYTES:
        return reasons.DISK_FULL(folder, free_kib=free // 1024, needed_kib=NEEDED_BYTES // 1024)
    if found.f_files and not found.f_favail:
        return reasons.NO_INODE(folder)
    return None
