"""The one place that changes the state: an edit in, checks, a durable commit, a new state out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from lvsctl.director.agent_edits import without_stale_readiness
from lvsctl.director.edits import Edit, describe_changes, describe_operations
from lvsctl.director.state import State, server_id, state_of
from lvsctl.errors import InvalidInput, first_problems
from lvsctl.farm import Pool, Service
from lvsctl.farm_rules import broken_rules
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.ipvs_table import IPAddress
from lvsctl.objects import Changes, Kind, ObjectId
from lvsctl.status import EPOCH, Agent
from lvsctl.store.protocol import Store, check_expected


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an edit is judged by beside the stored state.

    Attributes:
        taken: Addresses that are in use outside the farm, with what they are.
        health: What the health checks have come to say.
        at: The present moment, in UTC.
    """

    taken: Mapping[IPAddress, str] = field(default_factory=dict)
    health: Mapping[TargetId, Health] = field(default_factory=dict)
    at: datetime = EPOCH


@dataclass(frozen=True)
class Written:
    """What came of an edit.

    Attributes:
        before: The state that it found.
        after: The state that the edit leads to.
        state: The state that is stored now; a dry run leaves it as it was.
        changes: Which objects it added, changed and removed, in words.
        dirty: Names of the services that it bears on; None for everything.
        changed: Whether anything was different from before.
        moves_probes: Health checks take other ways through the tunnel than before.
    """

    before: State
    after: State
    state: State
    changes: tuple[str, ...]
    dirty: frozenset[str] | None
    changed: bool
    moves_probes: bool

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


class Commits:
    """Applies edits one after the other; lives in the store's worker thread.

    Args:
        store: Where the state is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = state_of(store.load())

    @property
    def state(self) -> State:
        """The present state; readers in other threads get a frozen value."""
        return self._state

    def dry_run(self, edit: Edit, expect: Mapping[ObjectId, int], around: Surroundings) -> Written:
        """Check an edit as :meth:`commit` does and say what it would do; store nothing."""
        before = self._state.seen(around.health, around.at)
        asked, changes, after = self._checked(before, edit, expect, around)
        return _written(before, after, before, asked, changes)

    def commit(
        self,
        edit: Edit,
        expect: Mapping[ObjectId, int],
        by: str,
        around: Surroundings,
    ) -> Written:
        """Check an edit and store what it changes; an edit that changes nothing stores nothing.

        Args:
            edit: What to change.
            expect: Revisions that objects must be at; 0 for one that must not stand.
            by: Who asks, for the history.
            around: What else the edit is judged by.

        Raises:
            InvalidInput: The farm that would come of it breaks rules.
            NotFound: It is about an object that does not stand.
            StaleRevision: An object is not at the revision that ``expect`` names.
            Conflict: The present state forbids it.
            StoreError: The disk failed; the state is as before.
        """
        before = self._state.seen(around.health, around.at)
        asked, changes, after = self._checked(before, edit, expect, around)
        if changes:
            self._store.commit(changes, expect, by)
            self._state = after  # at that revision: nobody else writes the store
        return _written(before, after, self._state, asked, changes)

    def _checked(
        self,
        before: State,
        edit: Edit,
        expect: Mapping[ObjectId, int],
        around: Surroundings,
    ) -> tuple[Changes, Changes, State]:
        check_expected(expect, before.revisions)
        asked = edit.changes(before)
        changes = {
            object_id: value
            for object_id, value in asked.items()
            if value != before.value(object_id)
        }
        after = before.after(changes, before.revision + 1)
        if any(object_id.kind is not Kind.OVERRIDE for object_id in changes):
            _refuse_broken(edit, after, around.taken)
        edit.guard(before, after)
        stale = without_stale_readiness(after)
        if not stale:
            return asked, changes, after
        changes |= stale
        return asked, changes, before.after(changes, before.revision + 1)


def _written(
    before: State, after: State, state: State, asked: Changes, changes: Changes
) -> Written:
    return Written(
        before,
        after,
        state,
        describe_changes(before, changes),
        _dirty(before, after, changes or asked),
        bool(changes),
        before.tunnel_paths != after.tunnel_paths,
    )


def _refuse_broken(edit: Edit, after: State, taken: Mapping[IPAddress, str]) -> None:
    agents = after.status.agents.values()
    problems = first_problems(
        edit.locate(broken, problem) for broken, problem in broken_rules(after.farm, taken, agents)
    )
    if problems:
        raise InvalidInput(problems)


def _dirty(before: State, after: State, changes: Changes) -> frozenset[str] | None:
    """Return the services whose part of the table, or VIP, the changes may alter."""
    names: set[str] = set()
    pools: set[str] = set()
    for object_id in changes:
        for state in (before, after):
            match state.value(object_id):
                case Service(name=name):
                    names.add(name)
                case Pool(name=name):
                    pools.add(name)
                case Agent(pools=joined):
                    pools.update(joined)
                case _:
                    pass
        if object_id.kind is Kind.OVERRIDE:
            pools.add(server_id(object_id.name).pool)
        if object_id.kind in (Kind.SETTINGS, Kind.DIRECTORS):
            return None
    for state in (before, after):
        names.update(s.name for s in state.farm.services.values() if s.pool in pools)
    return frozenset(names)
