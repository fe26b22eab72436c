"""What a person may decide about a store that does not follow what was applied last."""

import hashlib
import uuid
from dataclasses import dataclass

from lvsctl.farm.objects import Changes, Kind
from lvsctl.store.interface import Contents, Store

NAMED = 5
"""How many services a message names."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A decision about a store that is not followed.

    Attributes:
        code: Names this store and what was applied last, as the alarm printed it. It fits once:
            a flag that is left in a unit file decides nothing about a later store.
        restore: Put the farm that was applied last into the store; else follow the store.
    """

    code: str
    restore: bool


def why_not_followed(found: Contents, applied: Contents) -> str:
    """Return why the contents of a store are no order; empty where they are one."""
    if found.lost:
        return f"it lost its latest commits, up to {found.lost}"
    if not applied.objects:
        return ""  # there is nothing to lose
    if found.farm_id != applied.farm_id:
        return "it is another farm's" if found.objects else "it is new and empty"
    if not found.position.holds(applied.position):
        return "it has gone back to an older state"
    if found.epoch == applied.epoch and _has_diverged(found, applied):
        return "it has another past than what was applied"
    return ""


def _has_diverged(found: Contents, applied: Contents) -> bool:
    if found.position == applied.position:
        return found.objects != applied.objects
    return any(
        applied.objects.get(object_id) != stored
        for object_id, stored in found.objects.items()
        if stored.revision <= applied.revision
    )


def recovery_code(found: Contents, applied: Contents) -> str:
    """Return what names a store together with what was applied last."""
    named = f"{found.position}; {found.lost}; {applied.position}"
    digest = hashlib.sha256(named.encode()).hexdigest()
    return f"{found.farm_id[:8]}-{found.revision}-{digest[:8]}"


def advice(found: Contents, applied: Contents, code: str) -> str:
    """Return the commands that end it, in sentences; none of them loses traffic unsaid."""
    restore = (
        "To put what was applied last into the store, start the director once with "
        f"--restore-farm {code}."
    )
    if not found.objects:
        return restore
    lost = sorted(
        object_id.name
        for object_id in applied.objects.keys() - found.objects.keys()
        if object_id.kind is Kind.SERVICE
    )
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    removes = f", which removes {', '.join(lost[:NAMED])}{more}" if lost else ""
    return f"{restore} To follow the store as it is{removes}: --accept-new-farm {code}."


def recover(store: Store, found: Contents, applied: Contents, recovery: Recovery) -> str:
    """Do what a person has decided, and return in words what has begun.

    Interrupted anywhere, the store is still one that is not followed: the epoch that makes it one
    begins last. The farm keeps its id, so that agents follow the new epoch as they did the old.

    Raises:
        StoreError: The disk refuses it.
    """
    if recovery.restore:
        if found.lost:  # it takes no commit before that is given up
            store.begin_epoch(uuid.uuid4().hex, 1, "lvsctl director run --restore-farm")
        store.commit(
            _changes(found, applied),
            base=store.load().position,
            expect={},
            by="lvsctl director run --restore-farm",
            commit_id=uuid.uuid4().hex,
        )
    epochs = [applied.epoch, found.epoch, *([found.lost.epoch] if found.lost else [])]
    by = f"lvsctl director run --{'restore-farm' if recovery.restore else 'accept-new-farm'}"
    position = store.begin_epoch(applied.farm_id, max(epochs) + 1, by)
    what = "the farm that was applied last" if recovery.restore else "the store as it was found"
    return f"{position} begins with {what} ({found.position})"


def _changes(found: Contents, wanted: Contents) -> Changes:
    """Return what makes one store's objects another's."""
    gone = dict.fromkeys(found.objects.keys() - wanted.objects.keys())
    return {**gone, **{object_id: each.value for object_id, each in wanted.objects.items()}}
