"""A store that directors share: the log in etcd decides, a SQLite file holds what it led to."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lvsctl.errors import OutcomeUnknown, StoreBehind, StoreError, StoreUnavailable
from lvsctl.farm.objects import Changes, ObjectId
from lvsctl.store.commits import AuditRecord, Batch, Commit, Reload
from lvsctl.store.documents import decode_object
from lvsctl.store.etcd.layout import Head
from lvsctl.store.etcd.log import EtcdLog, News, Whole
from lvsctl.store.etcd.replica import SqliteReplica
from lvsctl.store.etcd.watcher import LogWatcher
from lvsctl.store.interface import Contents, Stored, check_expected
from lvsctl.store.log_entries import Entry, encode_changes
from lvsctl.store.position import Position, check_base, check_later_epoch

WRITE_WITHIN_S = 5.0
"""A new leader is elected in 2.5 to 3.6 s."""
WRITE_WITHIN_WHILE_FAILING_S = 1.0
FAILING_AFTER_S = 4.0
READ_WITHIN_S = 3.0
KEPT_IN_ETCD = 1000
"""Commits that stay in etcd for directors that were away; each director keeps its own history."""


class EtcdStore:
    """The farm and its status in etcd, with a replica from which everything is read.

    Args:
        replica: The file of this director, which :class:`EtcdStore` closes.
        etcd: The log, for the thread of this store.
        watch: Makes what follows the log, from a head and what to call with news.
        clock: What time it is, in UTC; for the history.
        kept: How many commits stay in etcd.

    Raises:
        StoreError: Neither etcd nor the replica tells the farm.
    """

    def __init__(
        self,
        replica: SqliteReplica,
        etcd: EtcdLog,
        watch: Callable[[Head, Callable[[], None]], LogWatcher],
        clock: Callable[[], datetime],
        kept: int = KEPT_IN_ETCD,
    ) -> None:
        self._replica = replica
        self._etcd = etcd
        self._clock = clock
        self._kept = kept
        self._subscribers: list[Callable[[], None]] = []
        self._in_doubt: set[str] = set()
        self._unsent = ""
        self._is_open = True
        self._known, behind = self._first_head()
        self._watcher = watch(self._known, self._announce)
        self._watcher.behind = behind
        self._watcher.start()

    def load(self) -> Contents:
        """Return the live objects: of etcd, where it does not continue what is in the replica."""
        self._take_in()
        contents = self._replica.load()
        if not self._watcher.behind:
            return replace(contents, lost=None)
        return _contents(self._etcd.everything(READ_WITHIN_S), lost=contents.position)

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        """Store all changes at once, in etcd, and return the new revision."""
        self._take_in()
        self._refuse_if_behind()
        documents = encode_changes(changes)
        check_base(base, self._known.position)
        present = self._replica.revisions({*expect, *documents})
        check_expected(expect, present)
        stored = {
            object_id: document
            for object_id, document in documents.items()
            if document is not None or object_id in present
        }
        if not stored:
            return base.revision
        position = replace(base, revision=base.revision + 1)
        self._append(base, Entry(position, commit_id, self._clock(), by, stored))
        return position.revision

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit made; None where it was not stored."""
        if commit_id == self._unsent:
            return None
        revision = base.revision + 1
        found = self._etcd.find(revision, min(READ_WITHIN_S, self._write_within_s))
        if found is None and commit_id in self._in_doubt:
            raise OutcomeUnknown("etcd may still carry out what it has not answered")
        self._in_doubt.discard(commit_id)
        if found != commit_id:
            return None
        self._catch_up()
        return revision

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return what was committed after a position, as far as it was fetched.

        Raises:
            StoreUnavailable: etcd has been silent for longer than an election takes.
        """
        self._take_in()
        self._refuse_if_behind()
        if self._watcher.failing_for_s() > FAILING_AFTER_S:
            raise StoreUnavailable(self._watcher.problem)
        return self._replica.changes_after(position, limit)

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever somebody has committed, and return what ends it."""
        self._subscribers.append(announce)
        return lambda: self._subscribers.remove(announce)

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, newest first."""
        self._take_in()
        return self._replica.history(limit, before)

    def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits, newest first."""
        self._take_in()
        return self._replica.audit(limit, before)

    def compact(self) -> bool:
        """Forget a bounded part of this director's history, and of the log in etcd."""
        more = self._replica.compact()
        if not self._watcher.behind:
            self._etcd.cut(self._kept, READ_WITHIN_S)
            self._catch_up()
        return more

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Let the farm in etcd go on as that farm in that epoch, with the objects it has."""
        self._take_in()
        before = self._etcd.head(READ_WITHIN_S)
        found = before.position if before else Position("", 0, 0)
        check_later_epoch(found, farm_id, epoch)
        position = Position(farm_id, epoch, found.revision + 1)
        entry = Entry(position, uuid.uuid4().hex, self._clock(), by, {})
        with self._watcher.own_commit() as note:
            head = self._etcd.append(before, entry, WRITE_WITHIN_S)
            if head is None:
                raise StoreError("another director has just changed the farm; nothing was stored")
            if before == self._known:
                self._known = self._take(head, [entry])
            else:
                self._known = self._take_everything()
            note(self._known)
        self._watcher.follow_from(self._known)
        self._announce()
        return position

    def check_writable(self) -> None:
        """Ask etcd for the head, and write the replica."""
        self._take_in()
        self._refuse_if_behind()
        if self._watcher.problem:
            raise StoreUnavailable(self._watcher.problem)
        self._replica.check_writable()

    def close(self) -> None:
        """Let go of etcd and of the disk."""
        if self._is_open:
            self._is_open = False
            self._watcher.close()
            self._etcd.close()
        self._replica.close()

    # --- the replica ------------------------------------------------------------------------

    def _first_head(self) -> tuple[Head, str]:
        """Return where this director is, once it has taken in what etcd holds now.

        Where etcd does not answer it stays where it was; where etcd does not continue the
        replica too, with the reason.
        """
        known = Head(*self._replica.head)
        is_new = known.position.revision == 0
        try:
            head = self._etcd.head(READ_WITHIN_S)
            if head is None and is_new:
                made = self._etcd.create(Whole(known, ()), WRITE_WITHIN_S)
                head = made or self._etcd.head(READ_WITHIN_S)
            if head == known:
                return head, ""
            whole = self._etcd.everything(READ_WITHIN_S) if is_new else None
            if whole:
                return self._take(whole.head, whole), ""
            found = self._etcd.news_after(known, READ_WITHIN_S)
            return self._take(*found) if found else known, ""
        except StoreBehind as error:
            return known, str(error)
        except StoreError:
            if is_new:
                raise
            return known, ""

    def _take_in(self) -> None:
        for head, news in self._watcher.take():
            if not self._known.position.holds(head.position):
                try:
                    self._known = self._take(head, news)
                except StoreError:
                    self._watcher.give_back(head, news)
                    raise

    def _take(self, head: Head, news: News) -> Head:
        if isinstance(news, Whole):
            self._replica.replace_all(head.position, head.id, news.rows)
            return head
        here = self._replica.head[0].revision
        self._replica.append([each for each in news if each.position.revision > here])
        return head

    def _take_everything(self) -> Head:
        whole = self._etcd.everything(READ_WITHIN_S)
        if whole is None:
            raise StoreBehind("the farm was removed from etcd in this moment")
        return self._take(whole.head, whole)

    def _append(self, base: Position, entry: Entry) -> None:
        """Append a commit to the log and to the replica.

        Raises:
            StaleBase, StoreError: See :meth:`commit`.
        """
        within_s = self._write_within_s
        with self._watcher.own_commit() as note:
            head = self._appended(entry, within_s)
            if head is not None:
                self._known = self._take(head, [entry])
                note(head)
        if head is None:
            self._catch_up()
            check_base(base, self._known.position)
        self._announce()

    @property
    def _write_within_s(self) -> float:
        failing = self._watcher.failing_for_s() > FAILING_AFTER_S
        return WRITE_WITHIN_WHILE_FAILING_S if failing else WRITE_WITHIN_S

    def _appended(self, entry: Entry, within_s: float) -> Head | None:
        was_asked = False
        try:
            known = self._located(within_s)
            was_asked = known is not None
            return self._etcd.append(known, entry, within_s) if known else None
        except StoreUnavailable as error:
            if was_asked and error.was_sent:
                self._in_doubt.add(entry.id)
            else:
                self._unsent = entry.id
            raise

    def _located(self, within_s: float) -> Head | None:
        """Return the head as etcd has it; None where it is elsewhere."""
        if self._known.mod_revision:
            return self._known
        head = self._etcd.head(within_s)
        return head if head == self._known else None

    def _catch_up(self) -> None:
        """Fetch what others have committed, without waiting for the watcher."""
        try:
            found = self._etcd.news_after(self._known, READ_WITHIN_S)
        except StoreBehind as error:
            self._watcher.behind = str(error)
            self._refuse_if_behind()
            raise
        if found:
            with self._watcher.own_commit() as note:
                self._known = self._take(*found)
                note(self._known)

    def _refuse_if_behind(self) -> None:
        if self._watcher.behind:
            raise StoreBehind(
                f"{self._watcher.behind}. Nothing was stored, and the kernel stays as it is. "
                "Restore etcd, or start the director again: it names the commands that decide "
                "what to go on with"
            )

    def _announce(self) -> None:
        for announce in tuple(self._subscribers):
            announce()


def _contents(whole: Whole | None, lost: Position) -> Contents:
    if whole is None:
        return Contents("", 0, 0, {}, lost)
    position = whole.head.position
    objects = {
        row.object_id: Stored(decode_object(row.object_id.kind, row.document), row.revision)
        for row in whole.rows
    }
    return Contents(position.farm_id, position.epoch, position.revision, objects, lost)
