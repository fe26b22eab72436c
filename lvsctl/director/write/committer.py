"""The one place that changes the state: an edit in, checks, a durable commit, a new state out."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from lvsctl.director.agents.edits import without_stale_readiness
from lvsctl.director.state import State
from lvsctl.director.write.advance import Advance, advance, services_affected
from lvsctl.director.write.differences import changed_lines
from lvsctl.director.write.edits import Edit, describe_changes, describe_operations
from lvsctl.director.write.past import farm_at, history_of
from lvsctl.director.write.replica import Replica
from lvsctl.director.write.validity import Validity, rules_broken_by
from lvsctl.errors import (
    InvalidInput,
    OutcomeUnknown,
    StaleBase,
    StoreError,
    StoreUnavailable,
    first_problems,
)
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.net import IPAddress
from lvsctl.store.authorship import Authorship
from lvsctl.store.commits import AuditRecord, Commit
from lvsctl.store.interface import Store, check_expected

ATTEMPTS = 8
"""How often an edit is judged anew because somebody else committed in between."""


@dataclass(frozen=True, slots=True)
class EditContext:
    """What an edit is judged by beside the stored state.

    Attributes:
        addresses_in_use: Addresses that are in use outside the farm, with what they are.
        health: What the health checks have come to say.
        at: The present moment, in UTC.
    """

    addresses_in_use: Mapping[IPAddress, str] = field(default_factory=dict)
    health: Mapping[TargetId, Health] = field(default_factory=dict)
    at: datetime = EPOCH


@dataclass(frozen=True)
class CommitResult:
    """What came of an edit.

    Attributes:
        before: The state that it found.
        after: The state that the edit leads to.
        state: The state that is stored now; a dry run leaves it as it was.
        changes: Which objects it added, changed and removed, in words.
        objects: The same with their new values; None deletes.
        dirty: Names of the services that it bears on; None for everything.
        changed: Whether anything was different from before.
    """

    before: State
    after: State
    state: State
    changes: tuple[str, ...]
    objects: Changes
    dirty: frozenset[str] | None
    changed: bool

    @property
    def revision(self) -> int:
        """Of the store, with the edit in it."""
        return self.state.revision

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """What it does to an IPVS table that is as it should be, in words.

        It takes a tenth of a second for a thousand services, so only who wants it pays.
        """
        if not self.changed:
            return ()
        return describe_operations(self.before, self.after, self.dirty)


class Committer:
    """Applies edits one after the other; lives in the store's worker thread.

    An edit is judged by the state that the store then still has when it is written, or judged
    anew: what two writers may each do alone they may not do together.

    Args:
        store: Where the state is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._replica = Replica(store)
        self._valid: Validity | None = None

    @property
    def state(self) -> State:
        """The present state; readers in other threads get a frozen value."""
        return self._replica.state

    def catch_up(self) -> None:
        """Take in what others have committed.

        Raises:
            StoreError: The store cannot be read.
        """
        for step in self._replica.catch_up():
            self._valid = self._valid and self._valid.after(step.changes)

    def fetch(self) -> Iterator[Advance]:
        """Yield the steps of the state that were not fetched yet, in order; from another thread."""
        return self._replica.fetch()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, in whichever thread, when there may be something to take in.

        Returns:
            What ends it.
        """
        return self._replica.subscribe(announce)

    def audit(self, limit: int, before: int | None) -> Sequence[AuditRecord]:
        """Return who made the latest commits and what they changed, newest first."""
        return self._store.audit(limit, before)

    def farm_at(self, revision: int) -> Farm:
        """Return the farm as it was at a revision.

        Raises:
            NotFound: The history does not tell.
            StoreError: It cannot be read.
        """
        self.catch_up()
        return farm_at(self._store, self.state, revision)

    def history(
        self, object_id: ObjectId | None, limit: int, before: int | None
    ) -> Sequence[Commit]:
        """Return the latest commits, newest first, where wanted only those of one object."""
        return history_of(self._store, object_id, limit, before)

    def compact(self) -> bool:
        """Forget a part of the history that is beyond what is kept; return if there is more."""
        return self._store.compact()

    def dry_run(
        self, edit: Edit, expect: Mapping[ObjectId, int], context: EditContext
    ) -> CommitResult:
        """Check an edit as :meth:`commit` does and say what it would do; store nothing."""
        with contextlib.suppress(StoreUnavailable):
            self.catch_up()
        judged = self._judge(edit, expect, context, "")
        return _written(judged, stored=False)

    def commit(
        self,
        edit: Edit,
        expect: Mapping[ObjectId, int],
        by: str,
        context: EditContext,
        source: str = "",
    ) -> CommitResult:
        """Check an edit and store what it changes; an edit that changes nothing stores nothing.

        Args:
            edit: What to change.
            expect: Revisions that objects must be at; 0 for one that must not stand.
            by: Who made the request, for the history.
            context: What else the edit is judged by.
            source: Address that the request came from; empty if there was none.

        Raises:
            InvalidInput: The farm that would come of it breaks rules.
            NotFound: It is about an object that does not stand.
            StaleRevision: An object is not at the revision that ``expect`` names.
            Conflict: The present state forbids it.
            StaleBase: Others committed first each time; nothing was stored.
            OutcomeUnknown: The disk failed, and so it is not known whether it was stored.
            StoreError: The disk failed; the state is as before.
        """
        for _ in range(ATTEMPTS):
            self.catch_up()
            judged = self._judge(edit, expect, context, by)
            if not judged.step.changes:
                return _written(judged, stored=False)
            judged = _signed(judged, source)
            try:
                self._store_step(judged.step, expect)
            except StaleBase:
                continue
            self._replica.enter(judged.step)
            self._valid = judged.valid
            return _written(judged, stored=True)
        raise StaleBase(
            f"others changed the farm each of the {ATTEMPTS} times that this change was checked; "
            "nothing was stored. Repeat it when they are done"
        )

    def _store_step(self, step: Advance, expect: Mapping[ObjectId, int]) -> None:
        """Commit a step; where the answer is lost, look whether it was stored.

        Raises:
            StaleBase, OutcomeUnknown, StoreError: See :meth:`commit`.
        """
        base, commit_id = step.before.position, uuid.uuid4().hex
        try:
            self._store.commit(
                step.changes,
                base=base,
                expect=expect,
                by=Authorship(step.by, step.source, step.changed).encode(),
                commit_id=commit_id,
            )
        except StoreError as error:
            try:
                revision = self._store.find_commit(commit_id, base)
            except StoreError:
                raise OutcomeUnknown(
                    f"{error}. Whether this change was stored is not known: look before you "
                    "repeat it"
                ) from error
            if revision is None:
                raise

    def _judge(
        self, edit: Edit, expect: Mapping[ObjectId, int], context: EditContext, by: str
    ) -> "_Judged":
        before = self.state.seen(context.health, context.at)
        check_expected(expect, before.revisions)
        asked = edit.changes(before)
        changes = {
            object_id: value
            for object_id, value in asked.items()
            if value != before.value(object_id)
        }
        after = before.after(changes, before.revision + 1)
        valid = self._valid and self._valid.after(changes)
        if any(object_id.kind not in (Kind.OVERRIDE, Kind.TOKEN) for object_id in changes):
            valid = _refuse_broken(edit, before, after, changes, context.addresses_in_use, valid)
        edit.guard(before, after)
        bears_on = None if self._valid is None else self._valid.changed.union(changes)
        stale = without_stale_readiness(before, after, bears_on)
        if stale:
            changes |= stale
            after = before.after(changes, before.revision + 1)
        valid = valid and valid.after(stale)
        return _Judged(advance(before, after, changes, by), asked, valid)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What an edit leads to.

    Attributes:
        step: With what follows from the edit.
        asked: What it asks for, unchanged values included.
        valid: What is known of the rules once it is stored.
    """

    step: Advance
    asked: Changes
    valid: Validity | None


def _signed(judged: _Judged, source: str) -> _Judged:
    step = judged.step
    changed = changed_lines(step.before, step.changes)
    return replace(judged, step=replace(step, source=source, changed=changed))


def _written(judged: _Judged, *, stored: bool) -> CommitResult:
    step = judged.step
    before, after, changes = step.before, step.after, step.changes
    return CommitResult(
        before,
        after,
        after if stored else before,
        describe_changes(before, changes),
        changes,
        step.dirty if changes else services_affected(before, after, judged.asked),
        bool(changes),
    )


def _refuse_broken(  # noqa: PLR0917 - private, and each is something else
    edit: Edit,
    before: State,
    after: State,
    changes: Changes,
    addresses_in_use: Mapping[IPAddress, str],
    valid: Validity | None,
) -> Validity | None:
    """Raise InvalidInput where the farm would break a rule; return what is known of it else.

    An agent is not kept out by what stands in the farm already, such as a pattern that an earlier
    version let in: without it the farm would lose a server.
    """
    present = rules_broken_by(after, addresses_in_use, valid)
    if not present:
        return Validity(addresses_in_use)
    found = present
    if all(object_id.kind is Kind.AGENT for object_id in changes):
        standing = rules_broken_by(before, addresses_in_use, None)
        found = [each for each in present if each not in standing]
    problems = first_problems(edit.locate(place, problem) for place, problem in found)
    if problems:
        raise InvalidInput(problems)
    return None
