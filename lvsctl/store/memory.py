"""Store and local state in memory, as strict as those on disk, for tests and demonstrations."""

import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lvsctl.errors import StoreError
from lvsctl.farm.objects import Changes, ObjectId
from lvsctl.health.marks import ProbeMarks
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs.table import ServiceKey
from lvsctl.store.authorship import read_authorship
from lvsctl.store.commits import AuditRecord, Batch, Commit, Reload, Retention, reason_to_reload
from lvsctl.store.documents import decode_object
from lvsctl.store.interface import (
    Contents,
    HostClaim,
    Mode,
    Stored,
    changed_verdicts,
    check_expected,
)
from lvsctl.store.log_entries import (
    DecodedOnDemand,
    Documents,
    encode_changes,
    pack,
    unpack,
    unpack_documents,
)
from lvsctl.store.position import FIRST_EPOCH, Position, check_base, check_later_epoch


class _OneThread:
    """Refuses what SQLite refuses: use from another thread, or after closing."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._open = True

    def check_writable(self) -> None:
        """Succeed, as memory is always writable."""
        self._check()

    def close(self) -> None:
        """Refuse further use."""
        self._open = False

    def _check(self) -> None:
        if threading.get_ident() != self._thread:
            raise StoreError("a store can be used only in the thread that created it")
        if not self._open:
            raise StoreError("the store is closed")


class MemoryStore(_OneThread):
    """The farm's store in memory.

    It keeps documents rather than values, so that it refuses values that cannot be stored.

    Args:
        clock: Returns the time in UTC, for the history.
        retention: How much history is kept.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        retention: Retention = Retention(),  # noqa: B008 - a frozen value
    ) -> None:
        super().__init__()
        self._clock = clock
        self._retention = retention
        self._head = Position(uuid.uuid4().hex, FIRST_EPOCH, 0)
        self._documents: dict[ObjectId, tuple[str, int]] = {}
        self._log: list[tuple[Commit, bytes]] = []
        self._subscribers: list[Callable[[], None]] = []

    def load(self) -> Contents:
        """Return the live objects."""
        self._check()
        objects = {
            object_id: Stored(decode_object(object_id.kind, document), revision)
            for object_id, (document, revision) in self._documents.items()
        }
        return Contents(self._head.farm_id, self._head.epoch, self._head.revision, objects)

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        """Store all changes and return the new revision."""
        self._check()
        documents = encode_changes(changes)
        check_base(base, self._head)
        check_expected(
            expect, {name: self._documents[name][1] for name in expect if name in self._documents}
        )
        stored = {
            object_id: document
            for object_id, document in documents.items()
            if document is not None or object_id in self._documents
        }
        if not stored:
            return self._head.revision
        self._advance(self._head.farm_id, self._head.epoch, by, commit_id, stored)
        return self._head.revision

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit created; None if it was not stored."""
        self._check()
        following = self._log[self._place_after(base) :][:1]
        return next((each.revision for each, _ in following if each.id == commit_id), None)

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return the commits after a position."""
        self._check()
        reason = reason_to_reload(position, self._head, self._oldest)
        if reason:
            return Reload(reason)
        place = self._place_after(position)
        return [_read(each) for each in self._log[place : place + limit]]

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every commit; return a function that ends the subscription."""
        self._subscribers.append(announce)
        return lambda: self._subscribers.remove(announce)

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, newest first."""
        self._check()
        place = len(self._log) if before is None else max(0, before - self._oldest)
        end = min(len(self._log), place)
        return [
            replace(commit, changes=DecodedOnDemand(unpack_documents(body)))
            for commit, body in self._log[max(0, end - limit) : end][::-1]
        ]

    def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits, newest first."""
        return [
            AuditRecord(each.revision, each.at, read_authorship(each.by))
            for each in self.history(limit, before)
        ]

    def compact(self) -> bool:
        """Delete the history that is past its retention."""
        self._check()
        since = self._clock() - self._retention.age
        first = self._head.revision - self._retention.commits + 1
        self._log = [
            each for each in self._log if each[0].revision >= first and each[0].at >= since
        ]
        return False

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Begin an epoch of a farm."""
        self._check()
        check_later_epoch(self._head, farm_id, epoch)
        self._advance(farm_id, epoch, by, uuid.uuid4().hex, {})
        return self._head

    @property
    def _oldest(self) -> int:
        """Revision of the oldest commit in the log; one above the head if the log is empty."""
        return self._head.revision - len(self._log) + 1

    def _place_after(self, position: Position) -> int:
        """Return the index in the log of the commit after a position; revisions have no gaps."""
        return max(0, position.revision + 1 - self._oldest)

    def _advance(
        self, farm_id: str, epoch: int, by: str, commit_id: str, stored: Documents
    ) -> None:
        revision = self._head.revision + 1
        self._head = Position(farm_id, epoch, revision)
        for object_id, document in stored.items():
            if document is None:
                self._documents.pop(object_id, None)
            else:
                self._documents[object_id] = (document, revision)
        commit = Commit(commit_id, epoch, revision, self._clock(), by, {})
        self._log.append((commit, pack(stored)))
        for announce in self._subscribers:
            announce()


def _read(entry: tuple[Commit, bytes]) -> Commit:
    commit, body = entry
    return replace(commit, changes=unpack(body))


class _MemoryHostClaims:
    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._claimed: dict[HostClaim, None] = {}

    def claimed(self) -> Collection[HostClaim]:
        self._check()
        return tuple(self._claimed)

    def claim(self, keys: Collection[HostClaim]) -> None:
        self._check()
        self._claimed.update(dict.fromkeys(keys))

    def release(self, keys: Collection[HostClaim]) -> None:
        self._check()
        for key in keys:
            self._claimed.pop(key, None)


class MemoryLocalState(_OneThread):
    """The local state in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[ServiceKey, str] = {}
        self.host_claims = _MemoryHostClaims(self._check)
        self._probe_marks: ProbeMarks = {}
        self._verdicts: dict[ProbeId, KeptVerdict] = {}
        self._mode = Mode()
        self._remembered: Contents | None = None

    def claims(self) -> Mapping[ServiceKey, str]:
        """Return the claimed keys of virtual services, each with the name of its service."""
        self._check()
        return dict(self._claims)

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Claim keys for services."""
        self._check()
        self._claims.update(keys)

    def release(self, keys: Collection[ServiceKey]) -> None:
        """Release keys."""
        self._check()
        for key in keys:
            self._claims.pop(key, None)

    def probe_marks(self) -> ProbeMarks:
        """Return the marks and source ports of probes."""
        self._check()
        return dict(self._probe_marks)

    def keep_probe_marks(self, marks: ProbeMarks) -> None:
        """Replace all marks and source ports."""
        self._check()
        self._probe_marks = dict(marks)

    def verdicts(self) -> Mapping[ProbeId, KeptVerdict]:
        """Return the verdicts on all targets."""
        self._check()
        return dict(self._verdicts)

    def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        """Store changed verdicts; None deletes one."""
        self._check()
        self._verdicts = changed_verdicts(self._verdicts, changes)

    def remembered(self) -> Contents | None:
        """Return the last applied farm."""
        self._check()
        return self._remembered

    def remember(self, contents: Contents) -> None:
        """Replace the last applied farm."""
        self._check()
        self._remembered = replace(contents, objects=dict(contents.objects))

    def mode(self) -> Mode:
        """Return the mode."""
        self._check()
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Set the mode."""
        self._check()
        self._mode = mode
