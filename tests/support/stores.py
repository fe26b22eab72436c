"""Stores in memory whose disk can be full."""

from collections.abc import Collection, Mapping, Sequence

from lvsctl.events import RecordedEvent
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs_table import ServiceKey
from lvsctl.objects import Changes, ObjectId
from lvsctl.store.events import MemoryEventLog
from lvsctl.store.memory import MemoryLocalState, MemoryStore
from lvsctl.store.protocol import Mode


class BreakableStore(MemoryStore):
    """A store in memory that cannot write while it is broken."""

    broken: Exception | None = None
    last_by = ""

    def commit(self, changes: Changes, expect: Mapping[ObjectId, int], by: str) -> int:
        if self.broken:
            raise self.broken
        self.last_by = by
        return super().commit(changes, expect, by)

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
