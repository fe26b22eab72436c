"""A store whose contents are an order only where they follow what was applied last.

A disk may lose a file or go back to an older one, and a person may put another in its place.
None of that says that a service should go. So a director remembers which farm it has applied, and
goes on with that one until a person decides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import structlog

from lvsctl.errors import StoreError, StoreNotAccepted
from lvsctl.farm.objects import Changes, ObjectId
from lvsctl.store.commits import Batch, Commit, Reload
from lvsctl.store.interface import Contents, Store
from lvsctl.store.position import Position
from lvsctl.store.recovery import Recovery, advice, recover, recovery_code, why_not_followed

EMPTY = Contents("", 0, 0, {})
"""What is known where neither the store nor the local state can be read."""

log = structlog.get_logger(__name__)


class GuardedStore:
    """A store, or what was applied last in its place; lives in the store's thread.

    Args:
        store: The store; None where it cannot be opened.
        unusable: Why it cannot; empty where it can.
        applied: The farm that was applied last; None where that is not known.
        recovery: What a person decided; None where nobody did.
    """

    def __init__(
        self,
        store: Store | None,
        unusable: str,
        applied: Contents | None,
        recovery: Recovery | None = None,
    ) -> None:
        self._store = store
        self._followed = applied
        self._position = applied.position if applied else EMPTY.position
        self.begun = ""
        """Which epoch a person has begun at this start; empty where nobody has."""
        self.refusal = ""
        """Why the store is not followed, and the cure; empty where it is."""
        if store is None:
            self._refuse(unusable)
            return
        try:
            self._judge(store, recovery)
        except StoreError as error:
            self._refuse(str(error))

    @property
    def is_blind(self) -> bool:
        """Whether no farm is known at all, so that nothing may be written to the kernel."""
        return bool(self.refusal) and self._followed is None

    def _judge(self, store: Store, recovery: Recovery | None) -> None:
        found = store.load()
        # Where nothing is remembered, what a store has left is all that is known of the farm.
        applied = self._followed or replace(found, lost=None)
        why = why_not_followed(found, applied)
        if why:
            code = recovery_code(found, applied)
            if recovery is None or recovery.code != code:
                if recovery:
                    log.error("the code is of another store", given=recovery.code, needed=code)
                self._followed = applied
                self._refuse(
                    f"the store (farm.db) is not followed: {why}. It is at {found.position}. "
                    f"{advice(found, applied, code)}"
                )
                return
            self.begun = recover(store, found, applied, recovery)
            log.warning("new epoch", what=self.begun)
            found = store.load()
        self._followed, self._position = found, found.position

    def _refuse(self, why: str) -> None:
        if self._followed is None:
            goes_on = (
                "Which farm was applied last is not known either. The director only observes: the "
                "kernel stays as it is, and writes are refused."
            )
        else:
            goes_on = (
                f"The director goes on with {self._position}, as it was applied last, and refuses "
                "writes."
            )
        self.refusal = f"{why} {goes_on}"

    def load(self) -> Contents:
        """Return the farm to follow."""
        if self._store is None or self.refusal:
            return self._followed or EMPTY
        found = self._store.load()
        self._position = found.position
        return found

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        """Store changes where the store is followed."""
        store = self._accepted()
        revision = store.commit(changes, base=base, expect=expect, by=by, commit_id=commit_id)
        self._position = replace(base, revision=revision)
        return revision

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit made; one that was refused has made none."""
        return None if self.refusal else self._accepted().find_commit(commit_id, base)

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return what was committed after a position; nothing of a store that went back."""
        if self._store is None or self.refusal:
            return ()
        found = self._store.changes_after(position, limit)
        if not isinstance(found, Reload):
            if found:
                last = found[-1]
                self._position = replace(position, epoch=last.epoch, revision=last.revision)
            return found
        there = self._store.load().position
        if there.holds(self._position):
            return found
        self._refuse(
            f"the store (farm.db) is not followed any more: it has come to {there}. End the "
            "director, put the file back that it has worked on, and start it again."
        )
        return ()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever somebody has committed."""
        return self._store.subscribe(announce) if self._store else lambda: None

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits of a store that is followed."""
        return () if self.refusal else self._accepted().history(limit, before)

    def compact(self) -> bool:
        """Forget a part of the history of a store that is followed."""
        return False if self.refusal else self._accepted().compact()

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Begin an epoch where the store is followed."""
        self._position = self._accepted().begin_epoch(farm_id, epoch, by)
        return self._position

    def check_writable(self) -> None:
        """Try a write where the store is followed."""
        self._accepted().check_writable()

    def close(self) -> None:
        """Let go of the disk."""
        if self._store is not None:
            self._store.close()

    def _accepted(self) -> Store:
        if self._store is None or self.refusal:
            self._fail()
        return self._store

    def _fail(self) -> NoReturn:
        raise StoreNotAccepted(self.refusal)
