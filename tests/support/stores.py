"""Stores in memory whose disk can be full."""

import uuid
from collections.abc import Collection, Mapping, Sequence

from lvsctl.events import RecordedEvent
from lvsctl.farm.objects import Changes, ObjectId
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs.table import ServiceKey
from lvsctl.store.authorship import read_authorship
from lvsctl.store.events import MemoryEventLog
from lvsctl.store.interface import Contents, Mode, Store
from lvsctl.store.memory import MemoryLocalState, MemoryStore
from lvsctl.store.position import Position


def commit(
    store: Store,
    changes: Changes,
    expect: Mapping[ObjectId, int] | None = None,
    *,
    by: str = "test",
    commit_id: str = "",
) -> int:
    """Commit to a store as it is now, under an id that no other commit has."""
    return store.commit(
        changes,
        base=store.load().position,
        expect=expect or {},
        by=by,
        commit_id=commit_id or uuid.uuid4().hex,
    )


class BreakableStore(MemoryStore):
    """A store in memory that cannot write while it is broken."""

    broken: Exception | None = None
    last_by = ""

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        if self.broken:
            raise self.broken
        self.last_by = read_authorship(by).name
        return super().commit(changes, base=base, expect=expect, by=by, commit_id=commit_id)

    def check_writable(self) -> None:
        if self.broken:
            raise self.broken


class BreakableLocalState(MemoryLocalState):
    """A local state in memory that cannot write while it is broken."""

    broken: Exception | None = None

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        if self.broken:
            raise self.broken
        super().claim(keys)

    def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        if self.broken:
            raise self.broken
        super().keep_verdicts(changes)

    def remember(self, contents: Contents) -> None:
        if self.broken:
            raise self.broken
        super().remember(contents)

    def set_mode(self, mode: Mode) -> None:
        if self.broken:
            raise self.broken
        super().set_mode(mode)

    def check_writable(self) -> None:
        if self.broken:
            raise self.broken


class BreakableEventLog(MemoryEventLog):
    """A history in memory that takes nothing while it is broken."""

    broken: Exception | None = None

    def append(self, events: Sequence[RecordedEvent], forget: Collection[int] = ()) -> None:
        if self.broken:
            raise self.broken
        super().append(events, forget)
