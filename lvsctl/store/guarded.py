"""A store that is followed only if its contents succeed the farm that was applied last.

A file may be lost, revert to an older state, or be replaced by another. None of that means that
services should be removed. So a director remembers the farm that it has applied, and continues with
it until the operator decides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import structlog

from lvsctl.errors import StoreError, StoreNotAccepted
from lvsctl.farm.objects import Changes, ObjectId
from lvsctl.store.commits import AuditRecord, Batch, Commit, Reload
from lvsctl.store.interface import Contents, Store
from lvsctl.store.position import Position
from lvsctl.store.recovery import Recovery, advice, recover, recovery_code, why_not_followed

EMPTY = Contents("", 0, 0, {})
"""Stands for an unknown farm, if neither the store nor the local state can be read."""

log = structlog.get_logger(__name__)


class GuardedStore:
    """A store, or in its place the farm that was applied last. Used in the store's thread.

    Args:
        store: The store; None if it cannot be opened.
        unusable: Why it cannot be opened; empty if it can.
        applied: The farm that was applied last; None if unknown.
        recovery: The operator's decision; None if there is none.
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
        self._loaded: Contents | None = None  # until it is asked for: reading takes a while
        self._position = applied.position if applied else EMPTY.position
        self.begun = ""
        """The epoch that the operator began with this start, in words; empty if none."""
        self.refusal = ""
        """Why the store is not followed, and the cure; empty if it is."""
        if store is None:
            self._refuse(unusable)
            return
        try:
            self._judge(store, recovery)
        except StoreError as error:
            self._refuse(str(error))

    @property
    def is_blind(self) -> bool:
        """Whether no farm is known at all, so that the kernel must not be written."""
        return bool(self.refusal) and self._followed is None

    def _judge(self, store: Store, recovery: Recovery | None) -> None:
        found = store.load()
        # With no applied farm to compare with, the store's contents are all that is known.
        applied = self._followed or replace(found, lost=None)
        why = why_not_followed(found, applied)
        if why:
            code = recovery_code(found, applied)
            if recovery is None or recovery.code != code:
                if recovery:
                    log.error("recovery code of another store", given=recovery.code, needed=code)
                self._followed = applied
                self._refuse(
                    f"the store (farm.db) is not followed: {why}. It is at {found.position}. "
                    f"{advice(found, applied, code)}"
                )
                return
            self.begun = recover(store, found, applied, recovery)
            log.warning("new epoch", what=self.begun)
            found = store.load()
        self._followed, self._loaded, self._position = found, found, found.position

    def _refuse(self, why: str) -> None:
        if self._followed is None:
            goes_on = (
                "The farm that was applied last is not known either. The director only observes: "
                "the kernel stays as it is, and writes are refused."
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
        found, self._loaded = self._loaded or self._store.load(), None
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
        """Commit to a store that is followed."""
        store = self._accepted()
        revision = store.commit(changes, base=base, expect=expect, by=by, commit_id=commit_id)
        self._position, self._loaded = replace(base, revision=revision), None
        return revision

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit created; None if the store is not followed."""
        return None if self.refusal else self._accepted().find_commit(commit_id, base)

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return the commits after a position; none of a store that reverted to an older state."""
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
            f"the store (farm.db) is not followed any more: it is at {there} now. Stop the "
            "director, put back the file that it was using, and start it again."
        )
        return ()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every commit."""
        return self._store.subscribe(announce) if self._store else lambda: None

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, none of a store that is not followed."""
        return () if self.refusal else self._accepted().history(limit, before)

    def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits, newest first."""
        return () if self.refusal else self._accepted().audit(limit, before)

    def compact(self) -> bool:
        """Delete a part of the history, unless the store is not followed."""
        return False if self.refusal else self._accepted().compact()

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Begin an epoch in a store that is followed."""
        self._loaded = None
        self._position = self._accepted().begin_epoch(farm_id, epoch, by)
        return self._position

    def check_writable(self) -> None:
        """Try a write to a store that is followed."""
        self._accepted().check_writable()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def _accepted(self) -> Store:
        if self._store is None or self.refusal:
            self._fail()
        return self._store

    def _fail(self) -> NoReturn:
        raise StoreNotAccepted(self.refusal)
