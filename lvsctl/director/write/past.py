"""The farm as it was at an earlier revision, read from the history of its store."""

from collections.abc import Iterator

from lvsctl.director.state import State
from lvsctl.errors import NotFound
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Kind, ObjectId, StoredObject
from lvsctl.store.commits import Commit
from lvsctl.store.interface import Store

FARM_KINDS = frozenset({Kind.SERVICE, Kind.POOL, Kind.TUNNEL, Kind.DIRECTORS, Kind.SETTINGS})
"""What a farm file holds. Administrative states, agents and tokens have no past to go back to."""

PAGE = 100
"""How many commits are read at once."""


def farm_at(store: Store, present: State, revision: int) -> Farm:
    """Return the farm as a farm file of that time had it.

    Args:
        store: Whose history is read.
        present: The state at its head.
        revision: Of the store at that time.

    Raises:
        NotFound: The history does not tell.
        StoreError: It cannot be read.
    """
    if revision > present.revision:
        raise NotFound(f"the store is at revision {present.revision}; there is no {revision} yet")
    since = {
        object_id
        for commit in _newest_first(store, present.revision, down_to=revision + 1)
        for object_id in commit.changes
        if object_id.kind in FARM_KINDS
    }
    values = _values_at(store, since, revision)
    return present.after(values, revision).farm if values else present.farm


def history_of(
    store: Store, object_id: ObjectId | None, limit: int, before: int | None
) -> list[Commit]:
    """Return the latest commits, newest first, where wanted only those of one object."""
    found: list[Commit] = []
    for commit in _newest_first(store, None if before is None else before - 1, down_to=1):
        if object_id is None or object_id in commit.changes:
            found.append(commit)
        if len(found) == limit:
            break
    return found


def _values_at(
    store: Store, objects: set[ObjectId], revision: int
) -> dict[ObjectId, StoredObject | None]:
    """Return what objects were at a revision; None where they were not there."""
    found: dict[ObjectId, StoredObject | None] = {}
    oldest = revision + 1
    for commit in _newest_first(store, revision, down_to=1):
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


def _newest_first(store: Store, newest: int | None, down_to: int) -> Iterator[Commit]:
    before = None if newest is None else newest + 1
    while page := store.history(PAGE, before):
        for commit in page:
            if commit.revision < down_to:
                return
            yield commit
        before = page[-1].revision
