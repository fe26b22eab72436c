"""The contract of a store's log: bases, batches, subscriptions, history, epochs."""

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
    """Return the position of a store."""
    return store.load().position


def commits_after(store: Store, since: Position, limit: int = 100) -> list[Commit]:
    """Return a batch, asserting that it is not a reload."""
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
def test_a_commit_with_another_base_is_refused(
    store: Store, elsewhere: Callable[[Position], Position]
) -> None:
    """Whatever it changes: two changes that are each valid may be invalid together."""
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
    """Only with its base, and only if it was stored."""
    start = position(store)
    commit(store, {BLUE: Pool("blue")}, commit_id="first")
    middle = position(store)
    with pytest.raises(StaleBase):
        store.commit({GREEN: Pool("green")}, base=start, expect={}, by="b", commit_id="late")
    commit(store, {GREEN: Pool("green")}, commit_id="second")
    assert (1, 2) == (store.find_commit("first", start), store.find_commit("second", middle))
    assert (None, None) == (store.find_commit("late", start), store.find_commit("late", middle))


# --- following ------------------------------------------------------------------------------


def test_a_follower_gets_the_commits_since_its_position(store: Store) -> None:
    """Whole commits in order, up to the limit, and none if it is up to date."""
    start = position(store)
    commit(store, {BLUE: Pool("blue")}, by="anna", commit_id="first")
    commit(store, {BLUE: None, GREEN: Pool("green")}, by="bert", commit_id="second")
    first = Commit("first", 1, 1, START, "anna", {BLUE: Pool("blue")})
    second = Commit("second", 1, 2, START, "bert", {BLUE: None, GREEN: Pool("green")})

    assert [first, second] == commits_after(store, start)
    assert [first] == commits_after(store, start, limit=1)
    assert [second] == commits_after(store, replace(start, revision=1))
    assert [] == commits_after(store, position(store))


def test_deleting_a_missing_object_is_not_in_the_log(store: Store) -> None:
    """A follower gets only what was stored."""
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
def test_a_follower_at_an_unknown_position_must_reload(
    store: Store, elsewhere: Callable[[Position], Position], reason: str
) -> None:
    """The log continues only from states that this store has had."""
    commit(store, {BLUE: Pool("blue")})
    commit(store, {GREEN: Pool("green")})
    answer = store.changes_after(elsewhere(position(store)), 100)
    assert isinstance(answer, Reload)
    assert answer.reason.startswith(reason)


def test_a_new_epoch_requires_a_reload(store: Store) -> None:
    """The operator may have replaced all objects."""
    commit(store, {BLUE: Pool("blue")})
    before = position(store)
    store.begin_epoch(before.farm_id, 2, "anna")
    assert isinstance(store.changes_after(before, 100), Reload)
    assert [] == commits_after(store, position(store))


def test_commits_are_announced(store: Store) -> None:
    """Once each, by whoever, until the subscription ends."""
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
def test_following_is_equivalent_to_loading(
    make_store: MakeStore, history: list[Changes], limit: int
) -> None:
    """In batches of any size: same objects, order and revisions."""
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


def test_the_history_is_paged_newest_first(store: Store) -> None:
    """With author and time; it includes new epochs."""
    for name in "abc":
        commit(store, {ObjectId(Kind.POOL, name): Pool(name)}, by=name)
    store.begin_epoch("another", 5, "anna")
    newest, *others = store.history(2)
    assert (4, 5, "anna", {}) == (newest.revision, newest.epoch, newest.by, newest.changes)
    assert [(3, "c")] == [(each.revision, each.by) for each in others]
    assert [2, 1] == [each.revision for each in store.history(9, before=3)]
    assert [4, 3, 2, 1] == [each.revision for each in store.history(9, before=1000)]
    assert [] == list(store.history(9, before=1))


def compact(store: Store) -> int:
    """Compact completely, and return the number of calls."""
    calls = 1
    while store.compact():
        calls += 1
    return calls


def test_history_is_limited_by_number(make_store: MakeStore) -> None:
    """Followers before the oldest must reload; live objects are kept."""
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


def test_history_is_limited_by_age(make_store: MakeStore) -> None:
    """Old commits are deleted even if there are few; live objects are kept."""
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


def test_a_new_epoch_keeps_objects_and_has_its_own_revision(store: Store) -> None:
    """The store continues as the given farm, at a position that it never had."""
    commit(store, {BLUE: Pool("blue")})
    before = store.load()

    assert Position("other", 7, 2) == store.begin_epoch("other", 7, "anna")

    after = store.load()
    assert (before.objects, Position("other", 7, 2)) == (after.objects, after.position)
    assert 3 == commit(store, {GREEN: Pool("green")})
    assert Position("other", 7, 3) == position(store)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_that_is_not_above_the_present_one_is_refused(store: Store, epoch: int) -> None:
    """For the same farm; epochs of another farm are independent."""
    before = store.load()
    with pytest.raises(Conflict, match=f"is already in epoch 1 of farm {before.farm_id}"):
        store.begin_epoch(before.farm_id, epoch, "anna")
    assert before == store.load()
    assert Position("other", epoch, 1) == store.begin_epoch("other", epoch, "anna")
