"""The store in one SQLite file."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from lvsctl.errors import StoreBehind
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.store.acknowledged import Acknowledged
from lvsctl.store.commits import AuditRecord, Batch, Commit, Reload, Retention, reason_to_reload
from lvsctl.store.database import Database
from lvsctl.store.documents import decode_object
from lvsctl.store.interface import Contents, Stored, check_expected
from lvsctl.store.live import LiveRows
from lvsctl.store.log import CommitLog
from lvsctl.store.log_entries import Row, encode_changes
from lvsctl.store.position import Position, check_base, check_later_epoch
from lvsctl.store.schema import FORMAT, Head, new_head, read_head

COMPACTED_AT_ONCE = 50
"""Number of commits that one call of :meth:`SqliteStore.compact` deletes at most."""


class SqliteStore:
    """The farm's store in an SQLite file, with its history.

    Args:
        path: The file, ``farm.db`` in the state folder; created if missing.
        clock: Returns the time in UTC, for the history.
        retention: How much history is kept.

    Raises:
        StoreCorrupt: The file is damaged, or is another kind of file.
        StoreTooNew: A newer lvsctl wrote it.
        StoreError: The disk failed, or another process has locked the file.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        retention: Retention = Retention(),  # noqa: B008 - a frozen value
    ) -> None:
        self._path = path
        self._clock = clock
        self._retention = retention
        self._subscribers: list[Callable[[], None]] = []
        self._database = Database(path, FORMAT, {}, {"head": [new_head().row]})
        self._live = LiveRows(self._database)
        self._log = CommitLog(self._database)
        try:
            head = read_head(self._database)
        except BaseException:
            self._database.close()
            raise
        self._acknowledged = Acknowledged(path.with_name(path.name + ".acknowledged"))
        self._lost = self._what_is_lost(head)
        if self._lost is None:
            self._acknowledged.write(head.position, head.commit_id)

    def load(self) -> Contents:
        """Return the live objects."""
        head = read_head(self._database)
        rows = self._live.read(head)
        try:
            objects = {
                ObjectId(Kind(kind), name): Stored(decode_object(Kind(kind), document), revision)
                for _, kind, name, revision, document in rows
            }
        except ValueError as error:
            self._database.corrupt(error)
        position = head.position
        return Contents(position.farm_id, position.epoch, position.revision, objects, self._lost)

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        """Durably store all changes in one transaction, and return the new revision."""
        self._refuse_if_behind()
        documents = encode_changes(changes)
        with self._database.transaction():
            head = read_head(self._database)
            check_base(base, head.position)
            self._live.refresh(head)
            present = self._live.revisions({*expect, *documents})
            check_expected(expect, present)
            stored = {
                object_id: document
                for object_id, document in documents.items()
                if document is not None or object_id in present
            }
            if not stored:
                return head.position.revision
            position = replace(head.position, revision=head.position.revision + 1)
            after = self._live.write(stored, replace(head, position=position, commit_id=commit_id))
            self._log.append(after, self._clock(), by, stored)
            self._database.write("head", [after.row])
        self._announce(after)
        return position.revision

    @property
    def head(self) -> tuple[Position, str]:
        """Position and id of the latest commit."""
        head = read_head(self._database)
        return head.position, head.commit_id

    def rows(self) -> Sequence[Row]:
        """Return the live objects as they are stored, in creation order."""
        return [
            Row(ObjectId(Kind(kind), name), revision, document)
            for _, kind, name, revision, document in self._live.read(read_head(self._database))
        ]

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit created; None if it was not stored."""
        return self._log.revision_of(commit_id, base.revision + 1)

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return the commits after a position."""
        head = read_head(self._database)
        reason = reason_to_reload(position, head.position, head.oldest)
        if reason:
            return Reload(reason)
        last = min(position.revision + limit, head.position.revision)
        return self._log.between(position.revision + 1, last)

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every commit; return a function that ends the subscription."""
        self._subscribers.append(announce)
        return lambda: self._subscribers.remove(announce)

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, newest first."""
        head = read_head(self._database)
        last = _last_before(head, before)
        return self._log.history(max(head.oldest, last - limit + 1), last)[::-1]

    def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits, newest first."""
        head = read_head(self._database)
        last = _last_before(head, before)
        return self._log.authors(max(head.oldest, last - limit + 1), last)[::-1]

    def compact(self) -> bool:
        """Delete a bounded part of the history that is past its retention."""
        head = read_head(self._database)
        revision = head.position.revision
        last = min(head.oldest + COMPACTED_AT_ONCE - 1, revision)
        by_number = min(revision - self._retention.commits, last) + 1
        by_age = self._log.first_since(self._clock() - self._retention.age, head.oldest, last)
        oldest = max(by_number, by_age, head.oldest)
        if oldest > head.oldest:
            with self._database.transaction():
                self._log.forget_before(oldest)
                self._database.write("head", [replace(head, oldest=oldest).row])
        return last < revision and oldest > last

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Durably begin an epoch of a farm."""
        with self._database.transaction():
            head = read_head(self._database)
            check_later_epoch(head.position, farm_id, epoch)
            position = Position(farm_id, epoch, head.position.revision + 1)
            after = replace(head, position=position, commit_id=uuid.uuid4().hex)
            self._log.append(after, self._clock(), by, {})
            self._database.write("head", [after.row])
        self._lost = None
        self._announce(after)
        return position

    def check_writable(self) -> None:
        """Durably write something that changes nothing."""
        self._refuse_if_behind()
        self._database.check_writable()

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        self._acknowledged.close()

    def _announce(self, head: Head) -> None:
        self._acknowledged.write(head.position, head.commit_id)
        for announce in self._subscribers:
            announce()

    def _what_is_lost(self, head: Head) -> Position | None:
        """Return the acknowledged position if the file no longer has it, else None."""
        acknowledged = self._acknowledged.read()
        if acknowledged is None:
            return None
        position, commit_id = acknowledged
        is_another = position == head.position and commit_id != head.commit_id
        return position if is_another or not head.position.holds(position) else None

    def _refuse_if_behind(self) -> None:
        if self._lost:
            position = read_head(self._database).position
            raise StoreBehind(
                f"{self._path} is at {position}, but {self._lost} was acknowledged: its latest "
                "commits are lost, or the file was replaced by another; nothing was stored. "
                "Restore the file that has them, or restart the director: it reports the options "
                "to decide what to continue with"
            )


def _last_before(head: Head, before: int | None) -> int:
    """Return the latest revision, where wanted the latest below another."""
    last = head.position.revision
    return last if before is None else min(last, before - 1)
