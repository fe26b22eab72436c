"""Commits edits: computes changes, validates them, and stores them durably."""

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
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import EPOCH
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.net import IPAddress
from lvsctl.store.authorship import Authorship
from lvsctl.store.commits import AuditRecord, Commit
from lvsctl.store.interface import Store, check_expected

PAGE = 50
"""Commits that are read at once: some milliseconds, unless they are large."""

ATTEMPTS = 8
"""Attempts to commit an edit if others keep committing in between."""


@dataclass(frozen=True, slots=True)
class EditContext:
    """What an edit is validated against besides the stored state.

    Attributes:
        addresses_in_use: Addresses in use outside the farm, each with a description.
        health: The present health of servers.
        at: The present time, in UTC.
    """

    addresses_in_use: Mapping[IPAddress, str] = field(default_factory=dict)
    health: Mapping[TargetId, Health] = field(default_factory=dict)
    at: datetime = EPOCH


@dataclass(frozen=True)
class CommitResult:
    """The result of an edit.

    Attributes:
        before: The state before the edit.
        after: The state after the edit.
        state: The state that is stored now; unchanged by a dry run.
        changes: The objects added, changed and removed, in words.
        objects: The same with their new values; None deletes.
        dirty: Names of the affected services; None for all.
        changed: Whether anything changed.
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
        """Revision of the store after the edit."""
        return self.state.revision

    @property
    def moves_probes(self) -> bool:
        """Whether health checks take other paths through the tunnel than before."""
        before, after = self.before.tunnel_paths, self.after.tunnel_paths
        return before is not after and before != after

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """The operations on an IPVS table without drift, in words.

        It takes a tenth of a second for a thousand services, so it is computed on demand.
        """
        if not self.changed:
            return ()
        return describe_operations(self.before, self.after, self.dirty)


class Committer:
    """Applies edits one after the other; used in the store's thread.

    An edit is judged by the state that the store then still has when it is written, or judged
    anew: what two writers may each do alone they may not do together.

    Args:
        store: The store.
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
        """Catch up with commits by others.

        Raises:
            StoreError: The store cannot be read.
        """
        for step in self._replica.catch_up():
            self._valid = self._valid and self._valid.after(step.changes)

    def fetch(self) -> Iterator[Advance]:
        """Yield the steps that were not fetched yet, in order; called in another thread."""
        return self._replica.fetch()

    def subscribe(self, announce: Callable[[], None]) -> Callable[[], None]:
        """Call a function, in any thread, when there may be new commits.

        Returns:
            A function that ends the subscription.
        """
        return self._replica.subscribe(announce)

    def audit(self, limit: int, before: int | None) -> Sequence[AuditRecord]:
        """Return who made the latest commits and what they changed, newest first."""
        return self._store.audit(limit, before)

    def history(self, before: int | None) -> Sequence[Commit]:
        """Return the latest commits below a revision, newest first, as many as a page holds."""
        return self._store.history(PAGE, before)

    def compact(self) -> bool:
        """Delete a part of the history past its retention; return whether there is more."""
        return self._store.compact()

    def dry_run(
        self, edit: Edit, expect: Mapping[ObjectId, int], context: EditContext
    ) -> CommitResult:
        """Validate an edit as :meth:`commit` does and return its result, without storing it."""
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
        """Validate an edit and store its changes; an edit that changes nothing stores nothing.

        Args:
            edit: What to change.
            expect: Revisions that objects must be at; 0 for one that must not exist.
            by: Who made the request, for the history.
            context: What else the edit is validated against.
            source: Address that the request came from; empty if there was none.

        Raises:
            InvalidInput: The resulting farm would be invalid.
            NotFound: An object of the edit does not exist.
            StaleRevision: An object is not at its expected revision.
            Conflict: The present state does not allow it.
            StaleBase: Others committed first at each attempt; nothing was stored.
            OutcomeUnknown: The disk failed, and it is unknown whether it was stored.
            StoreError: The disk failed; the state is unchanged.
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
        """Commit a step; if the result is lost, look up whether it was stored.

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
    """A prepared edit.

    Attributes:
        step: The step, including derived changes.
        asked: The requested values, including unchanged ones.
        valid: The validity of the state once it is stored.
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
    """Raise InvalidInput if the farm would break a rule; else return its validity.

    An agent is not refused because of earlier problems of the farm, such as a pattern that an older
    version accepted: without the agent the farm would lose a server.
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
