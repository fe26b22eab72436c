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
        disk_problem: Says why the state folder's disk is not enough; empty where it is.
        farm_problem: Says why the store is not followed; empty where it is.
        writes: Tries a write, for each component that reports what the disk refuses.
    """

    def __init__(
        self,
        problems: Problems,
        events: Events,
        disk_problem: Callable[[], Awaitable[str]],
        farm_problem: Callable[[], str],
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

    def _note(self, component: Component, problem: str) -> None:
        if problem:
            self.problems.report(component, problem)
        else:
            self.problems.clear(component)


def disk_problem(folder: Path) -> str:
    """Return why the disk under a folder has no room; empty where it has."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}; the director needs its state folder back as it was"
    free = found.f_bavail * found.f_frsize
    if free < NEEDED_BYTES:
        return (
            f"{folder}: {free // 1024} KiB are free, {NEEDED_BYTES // 1024} are needed; see what "
            f"fills the disk: du -xh {folder} | sort -h"
        )
    if found.f_files and not found.f_favail:
        return f"{folder}: the file system has no inode free; see where files pile up: df -i"
    return ""
