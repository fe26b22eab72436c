"""Two directors on one store: neither breaks what the other committed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from lvsctl.director.state import State
from lvsctl.director.write.committer import ATTEMPTS, CommitResult, Committer, EditContext
from lvsctl.director.write.edits import DeleteObject, Edit, PutFarm, PutObject, PutOverride
from lvsctl.errors import (
    Conflict,
    InvalidInput,
    OutcomeUnknown,
    StaleBase,
    StaleRevision,
    StoreError,
)
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Changes, Kind, ObjectId
from lvsctl.farm.status import AdministrativeState, Override, ServerId
from lvsctl.store.commits import Retention
from lvsctl.store.interface import Store
from lvsctl.store.memory import MemoryStore
from lvsctl.store.position import Position
from tests.contract.conftest import START, MakeStore
from tests.unit.director.farms import OTHER_VIP, POOL_ID, WEB_ID, pool, web

ALONE = EditContext()
SPARE_ID = ObjectId(Kind.POOL, "spare")
SPARE = replace(pool(3), name="spare")
FARM = Farm({"web": web()}, {"web": pool(1, 2), "spare": SPARE})
DRAINING = Override(AdministrativeState.DRAINING, None, "disk", "operator", START)


def put(
    committer: Committer, edit: Edit, expect: Mapping[ObjectId, int] | None = None
) -> CommitResult:
    """Commit an edit."""
    return committer.commit(edit, expect or {}, "test", ALONE)


class Interrupted(Edit):
    """An edit during whose validation something else happens.

    Args:
        edit: The edit.
        meanwhile: What happens, each time.
    """

    def __init__(self, edit: Edit, meanwhile: Callable[[], object]) -> None:
        self._edit = edit
        self._meanwhile = meanwhile

    def changes(self, state: State) -> Changes:
        changes = self._edit.changes(state)
        self._meanwhile()
        return changes

    def guard(self, before: State, after: State) -> None:
        self._edit.guard(before, after)


def once(act: Callable[[], object]) -> Callable[[], object]:
    """Return a function that acts only the first time."""
    left = [act]
    return lambda: left.pop()() if left else None


@pytest.fixture
def first(store: Store) -> Committer:
    """Return a director with a farm."""
    committer = Committer(store)
    put(committer, PutFarm(FARM))
    return committer


@pytest.fixture
def second(first: Committer, store: Store) -> Committer:
    """Return another director on the same store."""
    assert first
    return Committer(store)


def test_each_sees_commits_of_the_other(first: Committer, second: Committer) -> None:
    """An edit is validated against the store, not against this director's replica."""
    put(first, DeleteObject(WEB_ID))
    put(second, DeleteObject(POOL_ID))
    put(first, PutObject(SPARE_ID, replace(SPARE, real_servers=())))
    second.catch_up()
    assert first.state == second.state


def test_a_pool_is_not_deleted_under_a_service_that_begins_to_use_it(
    first: Committer, second: Committer
) -> None:
    """Each change is valid by itself, and neither changes the other's object."""
    use = PutObject(WEB_ID, web(pool="spare"))
    with pytest.raises(Conflict, match="spare"):
        put(second, Interrupted(DeleteObject(SPARE_ID), once(lambda: put(first, use))))
    second.catch_up()
    assert SPARE_ID in second.state.revisions
    assert first.state == second.state


def test_a_service_does_not_begin_to_use_a_pool_that_is_deleted(
    first: Committer, second: Committer
) -> None:
    """The reverse order."""
    use = PutObject(WEB_ID, web(pool="spare"))
    with pytest.raises(InvalidInput, match="spare"):
        put(second, Interrupted(use, once(lambda: put(first, DeleteObject(SPARE_ID)))))
    assert "web" == second.state.farm.services["web"].pool


def test_two_services_do_not_get_the_same_key(first: Committer, second: Committer) -> None:
    """A rule about the whole farm is checked again on the other's commit."""
    other = ObjectId(Kind.SERVICE, "b")
    with pytest.raises(InvalidInput):
        put(
            second,
            Interrupted(
                PutObject(other, replace(web(OTHER_VIP), name="b")),
                once(lambda: put(first, PutObject(WEB_ID, web(OTHER_VIP)))),
            ),
        )
    assert ["web"] == [*second.state.farm.services]


def test_an_edit_is_computed_again_on_the_newer_state(first: Committer, second: Committer) -> None:
    """Both changes are stored, each once."""
    override = PutOverride(ServerId("web", "rs1"), DRAINING)
    meanwhile = once(lambda: put(first, PutObject(WEB_ID, web(scheduler="lc"))))
    written = put(second, Interrupted(override, meanwhile))
    assert (3, 3) == (written.revision, second.state.revision)
    assert "lc" == written.before.farm.services["web"].scheduler
    assert written.state == second.state
    first.catch_up()
    assert first.state == second.state


def test_if_match_is_checked_again(first: Committer, second: Committer) -> None:
    """It fails after the other director's write, even if it matched before."""
    meanwhile = once(lambda: put(first, PutObject(WEB_ID, web(scheduler="lc"))))
    edit = Interrupted(PutObject(WEB_ID, web(scheduler="wrr")), meanwhile)
    with pytest.raises(StaleRevision, match="at revision 2, not 1"):
        put(second, edit, {WEB_ID: 1})
    assert "lc" == second.state.farm.services["web"].scheduler


def test_an_edit_that_keeps_losing_is_refused(first: Committer, second: Committer) -> None:
    """After a bounded number of attempts, with nothing stored."""
    weights = iter(range(1, 100))
    edit = PutOverride(ServerId("web", "rs1"), DRAINING)

    def meanwhile() -> None:
        spare = replace(SPARE, real_servers=(replace(SPARE.real_servers[0], weight=next(weights)),))
        put(first, PutObject(SPARE_ID, spare))

    with pytest.raises(StaleBase, match="nothing was stored"):
        put(second, Interrupted(edit, meanwhile))
    assert 1 + ATTEMPTS == first.state.revision
    assert {} == first.state.status.overrides


def test_an_edit_without_changes_is_compared_with_the_store(
    first: Committer, second: Committer
) -> None:
    """Not with this director's outdated replica."""
    put(first, PutObject(WEB_ID, web(scheduler="lc")))
    written = put(second, PutObject(WEB_ID, web()))
    assert (True, 3) == (written.changed, written.revision)


# --- following ------------------------------------------------------------------------------


def test_own_commits_and_others_are_followed_in_the_same_way(
    first: Committer, second: Committer
) -> None:
    """Each is reported once, in order, with its author and the affected objects."""
    list(first.fetch())
    put(second, PutObject(WEB_ID, web(scheduler="lc")))
    put(first, PutOverride(ServerId("web", "rs1"), DRAINING))
    steps = list(first.fetch())
    assert [(1, 2), (2, 3)] == [(each.before.revision, each.after.revision) for each in steps]
    assert [{"web"}, {"web"}] == [each.dirty for each in steps]
    assert ["test", "test"] == [each.by for each in steps]
    assert steps[-1].after == first.state
    assert [] == list(first.fetch())


def test_own_values_are_not_decoded_again(
    first: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They enter the replica directly."""
    service = web(scheduler="lc")
    for module in ("lvsctl.store.memory", "lvsctl.store.sqlite", "lvsctl.store.log_entries"):
        monkeypatch.setattr(f"{module}.decode_object", None)
    put(first, PutObject(WEB_ID, service))
    first.catch_up()
    assert service is first.state.farm.services["web"]


def test_a_follower_that_was_away_catches_up(first: Committer, second: Committer) -> None:
    """In one step, with the same result as loading everything."""
    list(second.fetch())
    for scheduler in ("lc", "wrr", "sed"):
        put(first, PutObject(WEB_ID, web(scheduler=scheduler)))
    put(first, DeleteObject(SPARE_ID))
    put(first, PutObject(SPARE_ID, SPARE))
    second.catch_up()
    (step,) = second.fetch()
    assert (1, 6) == (step.before.revision, step.after.revision)
    assert first.state == second.state
    assert list(first.state.objects()) == list(second.state.objects())


def test_a_follower_that_was_away_too_long_loads_everything(make_store: MakeStore) -> None:
    """And still reports what changed."""
    store = make_store(retention=Retention(commits=1))
    first, second = Committer(store), Committer(store)
    put(first, PutFarm(FARM))
    put(first, PutObject(WEB_ID, web(scheduler="lc")))
    store.compact()
    second.catch_up()
    (step,) = second.fetch()
    assert {WEB_ID, POOL_ID, SPARE_ID} == step.changes.keys()
    assert {"web"} == step.dirty
    assert first.state == second.state
    store.close()


def test_a_new_epoch_is_followed(first: Committer, store: Store) -> None:
    """The next commit is based on it."""
    store.begin_epoch("another", 7, "anna")
    put(first, PutObject(WEB_ID, web(scheduler="lc")))
    assert Position("another", 7, 3) == first.state.position == store.load().position


# --- lost answers ---------------------------------------------------------------------------


class Forgetful(MemoryStore):
    """A store whose results of commits get lost.

    Attributes:
        stores: Whether what is asked for is done.
        finds: Whether a commit can be looked up.
    """

    stores = True
    finds = True
    loses = False

    def commit(
        self,
        changes: Changes,
        *,
        base: Position,
        expect: Mapping[ObjectId, int],
        by: str,
        commit_id: str,
    ) -> int:
        if not self.loses:
            return super().commit(changes, base=base, expect=expect, by=by, commit_id=commit_id)
        if self.stores:
            super().commit(changes, base=base, expect=expect, by=by, commit_id=commit_id)
        raise StoreError("the disk does not answer")

    def find_commit(self, commit_id: str, base: Position) -> int | None:
        if not self.finds:
            raise StoreError("the disk does not answer this either")
        return super().find_commit(commit_id, base)


@pytest.fixture
def forgetful() -> Iterator[Forgetful]:
    """Return a store with a farm that loses results from now on."""
    store = Forgetful()
    put(Committer(store), PutFarm(FARM))
    store.loses = True
    yield store
    store.close()


def test_a_commit_whose_result_was_lost_is_looked_up(forgetful: Forgetful) -> None:
    """It was stored once, and succeeds like any other."""
    committer = Committer(forgetful)
    written = put(committer, PutObject(WEB_ID, web(scheduler="lc")))
    assert (True, 2) == (written.changed, written.revision)
    assert 2 == committer.state.revision == forgetful.load().revision


def test_a_commit_that_failed_is_not_repeated(forgetful: Forgetful) -> None:
    """The client gets the reason, and the state is unchanged."""
    forgetful.stores = False
    committer = Committer(forgetful)
    with pytest.raises(StoreError, match=r"the disk does not answer$"):
        put(committer, PutObject(WEB_ID, web(scheduler="lc")))
    assert 1 == committer.state.revision == forgetful.load().revision


@pytest.mark.parametrize("stores", [True, False])
def test_a_commit_that_cannot_be_looked_up_is_left_to_the_client(
    forgetful: Forgetful, *, stores: bool
) -> None:
    """Its outcome is followed when the store answers again."""
    forgetful.stores, forgetful.finds = stores, False
    committer = Committer(forgetful)
    with pytest.raises(OutcomeUnknown, match="is not known"):
        put(committer, PutObject(WEB_ID, web(scheduler="lc")))
    forgetful.finds, forgetful.loses = True, False
    committer.catch_up()
    assert (2 if stores else 1) == committer.state.revision
    assert ("lc" if stores else "rr") == committer.state.farm.services["web"].scheduler
