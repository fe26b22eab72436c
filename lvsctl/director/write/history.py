"""The farm's past, read from the history of its store a page at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lvsctl.director.state import State
from lvsctl.errors import NotFound
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Kind, ObjectId, StoredObject
from lvsctl.store.authorship import Authorship, read_authorship
from lvsctl.store.commits import Commit

FARM_KINDS = frozenset({Kind.SERVICE, Kind.POOL, Kind.TUNNEL, Kind.DIRECTORS, Kind.SETTINGS})
"""What a farm file holds. Administrative states, agents and tokens have no past to go back to."""


@dataclass(frozen=True, slots=True)
class CommitSummary:
    """A commit without its documents.

    Attributes:
        revision: Revision of the store that it created.
        at: Time, in UTC.
        author: Who made it, and what changed in words.
        objects: Those that it changed.
    """

    revision: int
    at: datetime
    author: Authorship
    objects: Sequence[ObjectId]


class FarmHistory:
    """Reads the past; lives on the director's event loop.

    A long history takes seconds to read, between whose pages the store's thread serves writes.
    One reader at a time, so that many cannot hold them up together.

    Args:
        page: Returns the latest commits below a revision, newest first; of all, for None.
        state: Returns the present state.
    """

    def __init__(
        self,
        page: Callable[[int | None], Awaitable[Sequence[Commit]]],
        state: Callable[[], State],
    ) -> None:
        self._page = page
        self._state = state
        self._reading = asyncio.Lock()

    async def commits(
        self, object_id: ObjectId | None, limit: int, before: int | None
    ) -> Sequence[CommitSummary]:
        """Return the latest commits, newest first.

        Args:
            object_id: Only those that changed this object; None for all.
            limit: How many at most.
            before: Only those of lower revisions.

        Raises:
            StoreError: They cannot be read.
        """
        found: list[CommitSummary] = []
        async with self._reading:
            async for commit in self._newest_first(before):
                if object_id is None or object_id in commit.changes:
                    found.append(_summary(commit))
                if len(found) == limit:
                    break
        return found

    async def farm_at(self, revision: int) -> Farm:
        """Return the farm as a farm file of that time had it.

        Raises:
            NotFound: The history does not tell.
            StoreError: It cannot be read.
        """
        present = self._state()
        if revision > present.revision:
            raise NotFound(
                f"the store is at revision {present.revision}; there is no {revision} yet"
            )
        async with self._reading:
            changed = await self._changed_since(present.revision, revision)
            values = await self._values_at(changed, revision)
        return present.after(values, revision).farm if values else present.farm

    async def _changed_since(self, newest: int, revision: int) -> set[ObjectId]:
        """Return the objects of the farm that were changed after a revision."""
        found: set[ObjectId] = set()
        oldest = newest + 1
        async for commit in self._newest_first(newest + 1):
            if commit.revision <= revision:
                break
            oldest = commit.revision
            found.update(each for each in commit.changes if each.kind in FARM_KINDS)
        if oldest > revision + 1:
            raise NotFound(
                f"the history begins at revision {oldest}; what the farm was at revision "
                f"{revision} is no longer known"
            )
        return found

    async def _values_at(
        self, objects: set[ObjectId], revision: int
    ) -> Mapping[ObjectId, StoredObject | None]:
        """Return what objects were at a revision; None where they were not there."""
        found: dict[ObjectId, StoredObject | None] = {}
        oldest = revision + 1
        async for commit in self._newest_first(revision + 1):
            if found.keys() == objects:
                return found
            oldest = commit.revision
            for object_id in objects.intersection(commit.changes) - found.keys():
                found[object_id] = commit.changes[object_id]
        missing = objects - found.keys()
        if missing and oldest > 1:
            raise NotFound(
                f"the history begins at revision {oldest}; what {min(missing)} was at revision "
                f"{revision} is no longer known"
            )
        return {**found, **dict.fromkeys(missing)}

    async def _newest_first(self, before: int | None) -> AsyncIterator[Commit]:
        while page := await self._page(before):
            for commit in page:
                yield commit
            before = page[-1].revision


def _summary(commit: Commit) -> CommitSummary:
    return CommitSummary(
        commit.revision, commit.at, read_authorship(commit.by), tuple(commit.changes)
    )
