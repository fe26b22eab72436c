"""Interfaces of the farm's store and of the local state."""

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lvsctl.errors import StaleRevision
from lvsctl.farm.objects import Changes, ObjectId, StoredObject
from lvsctl.health.marks import ProbeMarks
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict
from lvsctl.host.interface import AddressKey, LinkKey
from lvsctl.ipvs.table import ServiceKey
from lvsctl.store.commits import AuditRecord, Batch, Commit, Reload
from lvsctl.store.position import Position


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, and the store's revision at which it got this value."""

    value: StoredObject
    revision: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The live objects of a store.

    Attributes:
        farm_id: Identifies the farm; generated with the store.
        epoch: Incremented when an operator restores or replaces a store.
        revision: Revision of the latest commit; 0 in a new store.
        objects: In creation order; an object that is changed keeps its place.
        lost: The latest position that the store acknowledged, if it no longer has it because its
            file reverted to an older state or was replaced; else None. Such a store accepts no
            commits until an operator begins a new epoch.
    """

    farm_id: str
    epoch: int
    revision: int
    objects: Mapping[ObjectId, Stored]
    lost: Position | None = None

    @property
    def position(self) -> Position:
        """The farm, and the state of it."""
        return Position(self.farm_id, self.epoch, self.revision)


def check_expected(expect: Mapping[ObjectId, int], present: Mapping[ObjectId, int]) -> None:
    """Compare the revisions that a writer expects with the present ones; 0 means no object.

    Raises:
        StaleRevision: They differ.
    """
    for object_id, expected in expect.items():
        found = present.get(object_id, 0)
        if found == expected:
            continue
        if not found:
            raise StaleRevision(f"{object_id} does not exist; it was expected at {expected}")
        if not expected:
            raise StaleRevision(f"{object_id} exists already, at revision {found}")
        raise StaleRevision(
            f"{object_id} is at revision {found}, not {expected}: somebody changed it in between; "
            "read it again and repeat the change"
        )


def changed_verdicts(
    known: Mapping[ProbeId, KeptVerdict], changes: Mapping[ProbeId, KeptVerdict | None]
) -> dict[ProbeId, KeptVerdict]:
    """Return the verdicts after changes; None deletes."""
    after = {**known, **changes}
    return {probe: verdict for probe, verdict in after.items() if verdict is not None}


class Store(Protocol):
    """The farm and its status: live objects, and a log of the commits that led to them.

    An instance belongs to the thread that created it. Disk errors raise
    :class:`lvsctl.errors.StoreError`; nothing was stored then, except that after an error of
    :meth:`commit` only :meth:`find_commit` can tell.
    """

    def load(self) -> Contents:
        """Return the live objects."""
        ...

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        """Durably store all changes in one transaction, and return the new revision.

        Deleting an object that does not exist is ignored. A commit that stores nothing creates no
        revision and returns the present one.

        Args:
            changes: New values; None deletes.
            base: The position at which the changes were validated. It is compared within the
                transaction, as two changes that are each valid may be invalid together.
            expect: Revisions that objects must still be at; 0 for an object that must not exist.
            by: Who made the change, for the history.
            commit_id: Unique id, to look up the commit by.

        Raises:
            StaleBase: The store is at another position; :meth:`changes_after` now leads there.
            StaleRevision: An object is at another revision.
            StoreBehind: The store has lost commits.
        """
        ...

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit created; None if it was not stored.

        For a commit whose result was lost, which must not be repeated before it was looked up.

        Args:
            commit_id: The commit's id.
            base: The commit's base.
        """
        ...

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return the commits after a position, without waiting for any.

        Args:
            position: The follower's position.
            limit: Maximum number of commits.
        """
        ...

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function after every commit, in any thread.

        It must return at once and must not use the store.

        Returns:
            A function that ends the subscription.
        """
        ...

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, newest first.

        Args:
            limit: Maximum number of commits.
            before: Return only commits of revisions below this one.
        """
        ...

    def audit(self, limit: int, before: int | None = None) -> Sequence[AuditRecord]:
        """Return who made the latest commits and what they changed, newest first.

        Args:
            limit: Maximum number of commits.
            before: Only return commits of lower revisions.
        """
        ...

    def compact(self) -> bool:
        """Delete a bounded part of the history that is past its retention.

        Returns:
            Whether there is more to delete.
        """
        ...

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Durably begin an epoch of a farm, and return the new position.

        Objects and their revisions do not change. The epoch begins with a revision of its own, so
        that the states before and after it differ. Lost commits are given up.

        Raises:
            Conflict: The farm is already in this epoch or a later one.
        """
        ...

    def check_writable(self) -> None:
        """Durably write something that changes nothing.

        Raises:
            StoreError: The disk failed.
        """
        ...

    def close(self) -> None:
        """Close files."""
        ...


class ModeName(enum.StrEnum):
    """Whether the director writes its kernel (ENFORCE) or only reads it (OBSERVE)."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Mode:
    """What the director may do.

    Attributes:
        name: The mode.
        reason: Why, as given by the operator.
        until: When it reverts to enforce, in UTC; None for never.
        by: Who set it.
        since: When it was set, in UTC; None if it is the default.
    """

    name: ModeName = ModeName.ENFORCE
    reason: str = ""
    until: datetime | None = None
    by: str = ""
    since: datetime | None = None


HostClaim = LinkKey | AddressKey


class HostClaims(Protocol):
    """The devices and addresses that lvsctl added to this host; void after a reboot."""

    def claimed(self) -> Collection[HostClaim]:
        """Return them."""
        ...

    def claim(self, keys: Collection[HostClaim]) -> None:
        """Claim devices and addresses before they are added."""
        ...

    def release(self, keys: Collection[HostClaim]) -> None:
        """Release devices and addresses that are gone."""
        ...


class LocalState(Protocol):
    """State of this director alone, on its own disk, never shared.

    Claims are valid for the boot in which they were made: after a reboot the kernel's table is
    empty, so anything in it with a claimed key is foreign. Writes are durable when they return. An
    instance belongs to the thread that created it.
    """

    def claims(self) -> Mapping[ServiceKey, str]:
        """Return the claimed keys of virtual services, each with the name of its service."""
        ...

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Claim keys for services, before they are added to the kernel or to adopt them."""
        ...

    def release(self, keys: Collection[ServiceKey]) -> None:
        """Release keys that a snapshot has shown to be gone."""
        ...

    @property
    def host_claims(self) -> HostClaims:
        """The devices and addresses that lvsctl added to this host."""
        ...

    def probe_marks(self) -> ProbeMarks:
        """Return the marks and source ports of probes; they survive reboots."""
        ...

    def keep_probe_marks(self, marks: ProbeMarks) -> None:
        """Replace all marks and source ports, before they are used in the kernel."""
        ...

    def verdicts(self) -> Mapping[ProbeId, KeptVerdict]:
        """Return the verdicts on all targets; they survive reboots."""
        ...

    def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        """Store changed verdicts; None deletes one."""
        ...

    def remembered(self) -> Contents | None:
        """Return the last applied farm; None in a new state folder."""
        ...

    def remember(self, contents: Contents) -> None:
        """Replace the last applied farm."""
        ...

    def mode(self) -> Mode:
        """Return the mode; enforce in a new state folder."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Set the mode; it survives reboots."""
        ...

    def check_writable(self) -> None:
        """Durably write something that changes nothing.

        Raises:
            StoreError: The disk failed.
        """
        ...

    def close(self) -> None:
        """Close files."""
        ...
