"""Why a store is not followed, and what the operator can decide about it."""

import hashlib
import uuid
from dataclasses import dataclass

from lvsctl.farm.objects import Changes, Kind
from lvsctl.store.interface import Contents, Store

MAX_NAMED = 5
"""Number of services that a message names."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The operator's decision about a store that is not followed.

    Attributes:
        code: The code in the message, which identifies the states of the store and of the applied
            farm. It is valid once: an option left in a unit file has no effect on a later store.
        restore: Write the last applied farm to the store; otherwise follow the store.
    """

    code: str
    restore: bool


def why_not_followed(found: Contents, applied: Contents) -> str:
    """Return why a store must not be followed; empty if it may be."""
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
    """Return a code that identifies the states of a store and of the applied farm."""
    named = f"{found.position}; {found.lost}; {applied.position}"
    digest = hashlib.sha256(named.encode()).hexdigest()
    return f"{found.farm_id[:8]}-{found.revision}-{digest[:8]}"


def advice(found: Contents, applied: Contents, code: str) -> str:
    """Return the options to choose from, in sentences, with the services that each removes."""
    restore = (
        "To restore the farm that was applied last, start the director once with "
        f"--restore-farm {code}."
    )
    if not found.objects:
        return restore
    lost = sorted(
        object_id.name
        for object_id in applied.objects.keys() - found.objects.keys()
        if object_id.kind is Kind.SERVICE
    )
    more = f" and {len(lost) - MAX_NAMED} more" if len(lost) > MAX_NAMED else ""
    removes = f", which removes {', '.join(lost[:MAX_NAMED])}{more}" if lost else ""
    return f"{restore} To follow the store as it is{removes}: --accept-new-farm {code}."


def recover(store: Store, found: Contents, applied: Contents, recovery: Recovery) -> str:
    """Carry out the operator's decision, and return in words which epoch has begun.

    Whatever was decided, the tokens stay those that were applied last: what was revoked or used up
    since an older store stays so.

    If this is interrupted, the store is still not followed, as the new epoch begins last. The farm
    keeps its id, so that agents follow the new epoch.

    Raises:
        StoreError: The disk failed.
    """
    by = f"lvsctl director run --{'restore-farm' if recovery.restore else 'accept-new-farm'}"
    changes = _changes(found, applied)
    if not recovery.restore:  # an old token must not come back with an old farm
        changes = {key: value for key, value in changes.items() if key.kind is Kind.TOKEN}
    if changes:
        if found.lost:  # a store that lost commits accepts none until a new epoch
            store.begin_epoch(uuid.uuid4().hex, 1, by)
        position = store.load().position
        store.commit(changes, base=position, expect={}, by=by, commit_id=uuid.uuid4().hex)
    epochs = [applied.epoch, found.epoch, *([found.lost.epoch] if found.lost else [])]
    position = store.begin_epoch(applied.farm_id, max(epochs) + 1, by)
    what = "the farm that was applied last" if recovery.restore else "the store as it was found"
    return f"{position} begins with {what} ({found.position})"


def _changes(found: Contents, wanted: Contents) -> Changes:
    """Return the changes that turn one store's objects into another's."""
    gone = dict.fromkeys(found.objects.keys() - wanted.objects.keys())
    return {**gone, **{object_id: each.value for object_id, each in wanted.objects.items()}}
