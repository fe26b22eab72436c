"""What every store does."""

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
from lvsctl.store.commits import Batch, Commit, Reload
from lvsctl.store.position import Position


@dataclass(frozen=True, slots=True)
class Stored:
    """An object and the revision of the whole store at which it got this value."""

    value: StoredObject
    revision: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The live objects of a store.

    Attributes:
        farm_id: Made with the store; tells one farm from another.
        epoch: Rises when a person restores a store or puts another in its place.
        revision: Of the latest commit; 0 in a new store.
        objects: In creation order; a new value keeps an object's place.
        lost: The latest position that the store had acknowledged, where it holds it no longer:
            its file went back to an older state, or another was put in its place. None where
            nothing is lost. Such a store takes no commit until a person begins a new epoch.
    """

    farm_id: str
    epoch: int
    revision: int
    objects: Mapping[ObjectId, Stored]
    lost: Position | None = None

    @property
    def position(self) -> Position:
        """Which state of which farm this is."""
        return Position(self.farm_id, self.epoch, self.revision)


def check_expected(expect: Mapping[ObjectId, int], present: Mapping[ObjectId, int]) -> None:
    """Compare the revisions that a writer had seen with those that stand; 0 is for none.

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
    """Return what is known after changes, in which None forgets."""
    after = {**known, **changes}
    return {probe: verdict for probe, verdict in after.items() if verdict is not None}


class Store(Protocol):
    """The farm and its status: live objects, and a log of the commits that led to them.

    An instance belongs to the thread that made it. What fails on the disk raises
    :class:`lvsctl.errors.StoreError`, and then nothing of the call was stored, except that after
    one from :meth:`commit` only :meth:`find_commit` can tell.
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
        """Store all changes at once, durably, and return the new revision.

        Deleting an object that does not exist is no error and stores nothing for it. A commit
        that stores nothing at all makes no revision and returns the present one.

        Args:
            changes: New values; None deletes.
            base: Where the store was when the changes were judged. Compared in the transaction
                that writes: two changes that are each right alone may be wrong together.
            expect: Revisions that objects must still be at; 0 for an object that must not exist.
            by: Who asked for it, for the history.
            commit_id: Made for this commit, to find it by.

        Raises:
            StaleBase: The store has moved on. From now on :meth:`changes_after` leads on to where
                it is.
            StaleRevision: An object is at another revision.
            StoreBehind: The store has lost commits.
        """
        ...

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        """Return the revision that a commit made; None where it was not stored.

        For a commit whose answer was lost. It must not be repeated before this was asked.

        Args:
            commit_id: Of the commit.
            base: That it was made with.
        """
        ...

    def changes_after(self, position: Position, limit: int) -> Batch | Reload:
        """Return what was committed after a position, without waiting for more.

        Args:
            position: Where the follower is.
            limit: How many commits at most.
        """
        ...

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever somebody has committed, in whichever thread.

        It must return at once and must not use the store.

        Returns:
            What ends it.
        """
        ...

    def history(self, limit: int, before: int | None = None) -> Sequence[Commit]:
        """Return the latest commits, newest first.

        Args:
            limit: How many at most.
            before: Only those of revisions below this one.
        """
        ...

    def compact(self) -> bool:
        """Forget a bounded part of the history that is beyond what is kept.

        Returns:
            Whether there is more to forget.
        """
        ...

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        """Let the store go on as that farm in that epoch, durably, and return where it is then.

        The objects stay as they are, with their revisions. It makes a revision of its own, so
        that nobody takes the states before and after it for the same. What was lost is given up.

        Raises:
            Conflict: The epoch is not above the present one of that farm.
        """
        ...

    def check_writable(self) -> None:
        """Write something that changes nothing, durably.

        Raises:
            StoreError: The disk refuses it.
        """
        ...

    def close(self) -> None:
        """Let go of the disk."""
        ...


class ModeName(enum.StrEnum):
    """Whether the director writes its kernel (ENFORCE) or only looks (OBSERVE)."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Mode:
    """What the director may do.

    Attributes:
        name: The mode.
        reason: Why, in a person's words.
        until: When it goes back to enforce, in UTC; None stays until it is changed.
        by: Who set it.
        since: When it was set, in UTC; None where nobody did.
    """

    name: ModeName = ModeName.ENFORCE
    reason: str = ""
    until: datetime | None = None
    by: str = ""
    since: datetime | None = None


HostClaim = LinkKey | AddressKey


class LocalState(Protocol):
    """What only this director knows, on its own disk, never shared.

    Claims are bound to the boot in which they were made: after a reboot the kernel is empty, so
    what stands there under a wanted key is somebody else's. Every call is durable when it returns.
    An instance belongs to the thread that made it.
    """

    def claims(self) -> Mapping[ServiceKey, str]:
        """Return the keys of our virtual services, with the farm's service that each is for."""
        ...

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Claim keys for services, before they are added to the kernel or to adopt them."""
        ...

    def release(self, keys: Collection[ServiceKey]) -> None:
        """Give up keys that a snapshot has shown gone."""
        ...

    def host_claims(self) -> Collection[HostClaim]:
        """Return the devices and addresses that we added to this host."""
        ...

    def claim_host(self, keys: Collection[HostClaim]) -> None:
        """Claim devices and addresses before they are added."""
        ...

    def release_host(self, keys: Collection[HostClaim]) -> None:
        """Give up devices and addresses that are gone."""
        ...

    def probe_marks(self) -> ProbeMarks:
        """Return the marks and source ports of probes, over reboots too."""
        ...

    def keep_probe_marks(self, marks: ProbeMarks) -> None:
        """Replace all marks and source ports, before the kernel gets one."""
        ...

    def verdicts(self) -> Mapping[ProbeId, KeptVerdict]:
        """Return the verdicts on all targets, over reboots too."""
        ...

    def keep_verdicts(self, changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
        """Keep what became of some verdicts; None forgets one."""
        ...

    def remembered(self) -> Contents | None:
        """Return the farm that was applied last; None in a new state folder."""
        ...

    def remember(self, contents: Contents) -> None:
        """Keep the farm that was applied, in place of the one before."""
        ...

    def mode(self) -> Mode:
        """Return the mode that was set last; enforce in a new state folder."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Keep a mode, over restarts and reboots."""
        ...

    def check_writable(self) -> None:
        """Write something that changes nothing, durably.

        Raises:
            StoreError: The disk refuses it.
        """
        ...

    def close(self) -> None:
        """Let go of the disk."""
        ...
