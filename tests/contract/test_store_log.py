"""What every store keeps to about its log: bases, batches, news, history, epochs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import Conflict, StaleBase
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Changes, Kind, ObjectId, StoredObject
from lvsctl.store.commits import Commit, Reload, Retention
from lvsctl.store.interface import Store
from lvsctl.store.position import Position
from tests.contract.conftest import START, MakeStore
from tests.support.clocks import Clock
from tests.support.stores import commit
from tests.unit import strategies

BLUE = ObjectId(Kind.POOL, "blue")
GREEN = ObjectId(Kind.POOL, "green")


def position(store: Store) -> Position:
    """Return where a store is."""
    return store.load().position


def commits_after(store: Store, since: Position, limit: int = 100) -> list[Commit]:
    """Return a batch that is no reload."""
    batch = store.changes_after(since, limit)
    assert not isinstance(batch, Reload)
    return list(batch)


# --- what a change was judged by ------------------------------------------------------------


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda at: replace(at, revision=at.revision - 1),
        lambda at: replace(at, revision=at.revision + 1),
        lambda at: replace(at, epoch=at.epoch + 1),
        lambda at: replace(at, farm_id="another"),
    ],
)
def test_a_change_that_was_judged_elsewhere_is_refused(
    store: Store, elsewhere: Callable[[Position], Position]
) -> None:
    """Whatever it is about: two changes that are each right alone may be wrong together."""
    commit(store, {BLUE: Pool("blue")})
    before = store.load()
    base = elsewhere(before.position)
    with pytest.raises(StaleBase) as refusal:
        store.commit({GREEN: Pool("green")}, base=base, expect={}, by="b", commit_id="late")
    assert str(before.position) in str(refusal.value)
    assert str(base) in str(refusal.value)
    assert before == store.load()
    assert [1] == [each.revision for each in store.history(10)]


def test_a_commit_is_found_by_its_id(store: Store) -> None:
    """Only the one that was made with that base, and none that was refused."""
    start = position(store)
    commit(store, {BLUE: Pool("blue")}, commit_id="first")
    middle = position(store)
    with pytest.raises(StaleBase):
        store.commit({GREEN: Pool("green")}, base=start, expect={}, by="b", commit_id="late")
    commit(store, {GREEN: Pool("green")}, commit_id="second")
    assert (1, 2) == (store.find_commit("first", start), store.find_commit("second", middle))
    assert (None, None) == (store.find_commit("late", start), store.find_commit("late", middle))


# --- following ------------------------------------------------------------------------------


def test_a_follower_gets_what_was_committed_since(store: Store) -> None:
    """Whole commits in order, at most as many as it asks for, and nothing when it is up to date."""
    start = position(store)
    commit(store, {BLUE: Pool("blue")}, by="anna", commit_id="first")
    commit(store, {BLUE: None, GREEN: Pool("green")}, by="bert", commit_id="second")
    first = Commit("first", 1, 1, START, "anna", {BLUE: Pool("blue")})
    second = Commit("second", 1, 2, START, "bert", {BLUE: None, GREEN: Pool("green")})

    assert [first, second] == commits_after(store, start)
    assert [first] == commits_after(store, start, limit=1)
    assert [second] == commits_after(store, replace(start, revision=1))
    assert [] == commits_after(store, position(store))


def test_deleting_what_does_not_exist_is_not_in_the_log(store: Store) -> None:
    """A follower hears only of what was stored."""
    start = position(store)
    commit(store, {BLUE: None, GREEN: Pool("green")})
    (entry,) = commits_after(store, start)
    assert {GREEN: Pool("green")} == entry.changes


@pytest.mark.parametrize(
    ("elsewhere", "reason"),
    [
        (lambda at: replace(at, revision=3), "the store is at revision 2 only"),
        (lambda at: replace(at, epoch=2), "the store is in epoch 1 of farm"),
        (lambda at: replace(at, farm_id="another"), "the store is in epoch 1 of farm"),
    ],
)
def test_a_follower_that_was_elsewhere_loads_anew(
    store: Store, elsewhere: Callable[[Position], Position], reason: str
) -> None:
    """The log leads on from no state that this store never had."""
    commit(store, {BLUE: Pool("blue")})
    commit(store, {GREEN: Pool("green")})
    answer = store.changes_after(elsewhere(position(store)), 100)
    assert isinstance(answer, Reload)
    assert answer.reason.startswith(reason)


def test_a_new_epoch_is_followed_by_loading(store: Store) -> None:
    """It is a person's act, which may have put anything in the place of what was there."""
    commit(store, {BLUE: Pool("blue")})
    before = position(store)
    store.begin_epoch(before.farm_id, 2, "anna")
    assert isinstance(store.changes_after(before, 100), Reload)
    assert [] == commits_after(store, position(store))


def test_news_is_announced(store: Store) -> None:
    """Once for each commit of anyone, until it is not wanted any more."""
    heard: list[str] = []
    unsubscribe = store.subscribe(lambda: heard.append("news"))
    commit(store, {BLUE: Pool("blue")})
    commit(store, {GREEN: None})
    store.begin_epoch("another", 1, "anna")
    assert 2 == len(heard)
    unsubscribe()
    commit(store, {BLUE: None})
    assert 2 == len(heard)


CHANGES = st.lists(
    st.tuples(strategies.named_objects(), st.booleans()), unique_by=lambda drawn: drawn[0][0]
).map(lambda drawn: {name: value if stands else None for (name, value), stands in drawn})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CHANGES, max_size=6), st.integers(1, 4))
def test_following_leads_to_what_loading_does(
    make_store: MakeStore, history: list[Changes], limit: int
) -> None:
    """In batches of any size: the same objects, in the same order, at the same revisions."""
    store = make_store()
    follower = position(store)
    held: dict[ObjectId, tuple[StoredObject, int]] = {}
    for changes in history:
        commit(store, changes)
    while batch := commits_after(store, follower, limit):
        for each in batch:
            for name, value in each.changes.items():
                if value is None:
                    del held[name]
                else:
                    held[name] = (value, each.revision)
            follower = replace(follower, revision=each.revision)
    loaded = store.load()
    store.close()
    assert follower == loaded.position
    assert list(held.items()) == [
        (name, (stored.value, stored.revision)) for name, stored in loaded.objects.items()
    ]


# --- history --------------------------------------------------------------------------------


def test_the_history_is_read_newest_first_in_pages(store: Store) -> None:
    """With who and when; a new epoch is in it."""
    for name in "abc":
        commit(store, {ObjectId(Kind.POOL, name): Pool(name)}, by=name)
    store.begin_epoch("another", 5, "anna")
    newest, *others = store.history(2)
    assert (4, 5, "anna", {}) == (newest.revision, newest.epoch, newest.by, newest.changes)
    assert [(3, "c")] == [(each.revision, each.by) for each in others]
    assert [2, 1] == [each.revision for each in store.history(9, before=3)]
    assert [] == list(store.history(9, before=1))


def compact(store: Store) -> int:
    """Forget all history that is beyond what is kept, and return how many calls it took."""
    calls = 1
    while store.compact():
        calls += 1
    return calls


def test_history_is_kept_by_number(make_store: MakeStore) -> None:
    """The newest commits; who was before them must load, and the live objects stay."""
    store = make_store(retention=Retention(commits=3))
    start = position(store)
    for _ in range(130):
        commit(store, {BLUE: Pool("blue")})
    before = store.load()
    compact(store)
    assert [130, 129, 128] == [each.revision for each in store.history(1000)]
    assert Reload("the history begins at revision 128") == store.changes_after(start, 1)
    assert 3 == len(commits_after(store, replace(start, revision=127)))
    assert before == store.load()
    store.close()


def test_history_is_kept_by_age(make_store: MakeStore) -> None:
    """A commit that is too old goes even where there are few; the live objects stay."""
    clock = Clock(START)
    store = make_store(clock, Retention(age=timedelta(days=7)))
    commit(store, {BLUE: Pool("blue")})
    clock.now += timedelta(days=3)
    commit(store, {GREEN: Pool("green")})
    clock.now += timedelta(days=4)
    compact(store)
    assert [2, 1] == [each.revision for each in store.history(9)]
    clock.now += timedelta(seconds=1)
    compact(store)
    assert [2] == [each.revision for each in store.history(9)]
    clock.now += timedelta(days=9)
    compact(store)
    assert [] == list(store.history(9))
    assert [BLUE, GREEN] == list(store.load().objects)
    assert 3 == commit(store, {BLUE: None})
    assert [3] == [each.revision for each in store.history(9)]
    store.close()


# --- epochs ---------------------------------------------------------------------------------


def test_a_new_epoch_keeps_the_objects_and_is_a_revision_of_its_own(store: Store) -> None:
    """The store goes on as the farm that is named, at a position that it never had before."""
    commit(store, {BLUE: Pool("blue")})
    before = store.load()

    assert Position("other", 7, 2) == store.begin_epoch("other", 7, "anna")

    after = store.load()
    assert (before.objects, Position("other", 7, 2)) == (after.objects, after.position)
    assert 3 == commit(store, {GREEN: Pool("green")})
    assert Position("other", 7, 3) == position(store)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_that_is_not_above_the_present_one_is_refused(store: Store, epoch: int) -> None:
    """In the same farm; another farm's epochs are counted for themselves."""
    before = store.load()
    with pytest.raises(Conflict, match=f"is already in epoch 1 of farm {before.farm_id}"):
        store.begin_epoch(before.farm_id, epoch, "anna")
    assert before == store.load()
    assert Position("other", epoch, 1) == store.begin_epoch("other", epoch, "anna")
