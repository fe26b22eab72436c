"""Store and local state without a disk, as strict as those on one: for tests and for a look."""

import threading
import uuid
from collections.abc import Collection, Mapping

from lvsctl.errors import StoreError
from lvsctl.health.marks import ProbeMarks
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.ipvs_table import ServiceKey
from lvsctl.objects import Changes, ObjectId
from lvsctl.store.documents import decode_object, encode_object
from lvsctl.store.protocol import (
    FIRST_EPOCH,
    Contents,
    HostClaim,
    Mode,
    Position,
    Stored,
    changed_verdicts,
    check_expected,
    check_later_epoch,
)


class _OneThread:
    """Refuses what SQLite refuses: use from another thread, use after the end."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._open = True

    def check_writable(self) -> None:
        """Take every write."""
        self._check()

    def close(self) -> None:
        """Refuse every use from now on."""
        self._open = False

    def _check(self) -> None:
        if threading.get_ident() != self._thread:
            raise StoreError("a store can be used only in the thread that made it")
        if not self._open:
            raise StoreError("the store is closed")


class MemoryStore(_OneThread):
    """The farm and its status, gone with the process.

    It keeps documents rather than values, so that what cannot be stored cannot be kept here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._farm_id = uuid.uuid4().hex
        self._epoch = FIRST_EPOCH
        self._revision = 0
        self._documents: dict[ObjectId, tuple[str, int]] = {}

    def load(self) -> Contents:
        """Return everything that stands."""
        self._check()
        objects = {
            object_id: Stored(decode_object(object_id.kind, document), revision)
            for object_id, (document, revision) in self._documents.items()
        }
        return Contents(self._farm_id, self._epoch, self._revision, objects)

    def commit(self, changes: Changes, expect: Mapping[ObjectId, int], by: str) -> int:  # noqa: ARG002
        """Keep all changes at once and return the new revision; there is no history."""
        self._check()
        documents = {
            object_id: None if value is None else encode_object(object_id.kind, value)
            for object_id, value in changes.items()
        }
        check_expected(expect, {name: at for name, (_, at) in self._documents.items()})
        if all(
            document is None and name not in self._documents for name, document in documents.items()
        ):
            return self._revision
        self._revision += 1
        for object_id, document in documents.items():
            if document is None:
                self._documents.pop(object_id, None)
            else:
                self._documents[object_id] = (document, self._revision)
        return self._revision

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:  # noqa: ARG002
        """Go on as that farm in that epoch."""
        self._check()
        check_later_epoch(Position(self._farm_id, self._epoch, self._revision), farm_id, epoch)
        self._farm_id, self._epoch = farm_id, epoch
        self._revision += 1
        return Position(farm_id, epoch, self._revision)


class MemoryLocalState(_OneThread):
    """What only this director knows, gone with the process."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[ServiceKey, str] = {}
        self._host_claims: dict[HostClaim, None] = {}
        self._probe_marks: ProbeMarks = {}
        self._verdicts: dict[ProbeId, KeptVerdict] = {}
        self._mode = Mode()

    def claims(self) -> Mapping[ServiceKey, str]:
        """Return the keys of our virtual services, with the service that each is for."""
        self._check()
        return dict(self._claims)

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Claim keys for services."""
        self._check()
        self._claims.update(keys)

    def release(self, keys: Collection[ServiceKey]) -> None:
        """Give up keys."""
        self._check()
        for key in keys:
            self._claims.pop(key, None)

    def host_claims(self) -> Collection[HostClaim]:
        """Return the devices and addresses that we added to this host."""
        self._check()
        return tuple(self._host_claims)

    def claim_host(self, keys: Collection[HostClaim]) -> None:
        """Claim devices and addresses."""
        self._check()
        self._host_claims.update(dict.fromkeys(keys))

    def release_host(self, keys: Collection[HostClaim]) -> None:
        """Give up devices and addresses."""
        self._check()
        for key in keys:
            self._host_claims.pop(key, None)

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
        """Keep what became of some verdicts; None forgets one."""
        self._check()
        self._verdicts = changed_verdicts(self._verdicts, changes)

    def mode(self) -> Mode:
        """Return the mode that was set last."""
        self._check()
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Keep a mode."""
        self._check()
        self._mode = mode
