"""The contract of stores, on disk and in memory."""

import threading
from ipaddress import IPv4Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsctl.errors import StaleRevision, StoreError
from lvsctl.farm.model import Pool, RealServer, Service
from lvsctl.farm.objects import Changes, Kind, ObjectId, StoredObject
from lvsctl.store.interface import Store
from tests.contract.conftest import MakeStore
from tests.support.stores import commit
from tests.unit import strategies

BLUE = ObjectId(Kind.POOL, "blue")
GREEN = ObjectId(Kind.POOL, "green")
WEB = ObjectId(Kind.SERVICE, "web")
SERVICE = Service("web", IPv4Address("198.51.100.10"), "blue", ports=(80,))


def test_a_new_store_is_empty_and_has_a_farm_id(make_store: MakeStore) -> None:
    """It is at revision 0, and its farm id is unique."""
    first, second = make_store(), make_store()
    loaded = [first.load(), second.load()]
    first.close()
    second.close()
    assert [(0, {}), (0, {})] == [(contents.revision, contents.objects) for contents in loaded]
    assert loaded[0].farm_id
    assert loaded[0].farm_id != loaded[1].farm_id


def test_a_commit_stores_everything_under_one_revision(store: Store) -> None:
    """Both objects have the revision that the commit returned."""
    revision = commit(store, {BLUE: Pool("blue"), WEB: SERVICE})
    contents = store.load()
    assert 1 == revision == contents.revision
    assert {BLUE: (Pool("blue"), 1), WEB: (SERVICE, 1)} == {
        object_id: (stored.value, stored.revision) for object_id, stored in contents.objects.items()
    }


def test_an_object_keeps_the_revision_of_its_last_change(store: Store) -> None:
    """Commits of other objects do not affect it."""
    commit(store, {BLUE: Pool("blue")})
    commit(store, {GREEN: Pool("green")})
    assert {BLUE: 1, GREEN: 2} == {
        object_id: stored.revision for object_id, stored in store.load().objects.items()
    }


def test_a_deleted_object_is_gone(store: Store) -> None:
    """Deleting creates a revision."""
    commit(store, {BLUE: Pool("blue"), GREEN: Pool("green")})
    assert 2 == commit(store, {BLUE: None})
    assert [GREEN] == list(store.load().objects)


def test_deleting_a_missing_object_creates_no_revision(store: Store) -> None:
    """Whether it never existed or was deleted before."""
    commit(store, {BLUE: Pool("blue")})
    commit(store, {BLUE: None})
    assert [2, 2] == [commit(store, {name: None}) for name in (BLUE, GREEN)]
    assert 2 == store.load().revision


def test_an_empty_commit_creates_no_revision(store: Store) -> None:
    """It returns the present one."""
    assert 0 == commit(store, {})


def test_objects_are_in_creation_order(store: Store) -> None:
    """A changed object keeps its place; one deleted and created again goes to the end."""
    red = ObjectId(Kind.POOL, "red")
    commit(store, {GREEN: Pool("green"), BLUE: Pool("blue"), red: Pool("red")})
    commit(store, {BLUE: Pool("blue", real_servers=())})
    commit(store, {GREEN: None})
    commit(store, {GREEN: Pool("green")})
    assert [BLUE, red, GREEN] == list(store.load().objects)


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        (
            {BLUE: 1},
            (
                "pool blue is at revision 2, not 1: somebody changed it in between; "
                "read it again and repeat the change"
            ),
        ),
        ({BLUE: 0}, "pool blue exists already, at revision 2"),
        ({GREEN: 3}, "pool green does not exist; it was expected at 3"),
        ({WEB: 1}, "service web does not exist; it was expected at 1"),
    ],
)
def test_a_stale_writer_is_refused(
    store: Store, expect: dict[ObjectId, int], sentence: str
) -> None:
    """The error names the object, its revision and the expected one."""
    commit(store, {WEB: SERVICE, BLUE: Pool("blue")})
    commit(store, {BLUE: Pool("blue"), WEB: None})
    before = store.load()
    with pytest.raises(StaleRevision) as refusal:
        commit(store, {BLUE: None, GREEN: Pool("green"), WEB: SERVICE}, expect)
    assert sentence == str(refusal.value)
    assert before == store.load()


def test_a_writer_that_expects_the_present_revision_succeeds(store: Store) -> None:
    """Also for an object that must not exist, and for one that is not written."""
    commit(store, {BLUE: Pool("blue")}, {BLUE: 0})
    assert 2 == commit(store, {WEB: SERVICE}, {BLUE: 1, WEB: 0})
    commit(store, {WEB: None}, {WEB: 2})
    assert 4 == commit(store, {WEB: SERVICE}, {WEB: 0})


def test_a_value_of_another_kind_is_refused(store: Store) -> None:
    """A service with a pool's id is a programming error; nothing is stored."""
    with pytest.raises(TypeError):
        commit(store, {GREEN: Pool("green"), BLUE: SERVICE})
    assert 0 == store.load().revision


def test_a_large_commit_is_one_revision(store: Store) -> None:
    """A thousand pools of ten servers."""
    servers = tuple(RealServer(f"rs{n}", IPv4Address(0xC0000200 + n)) for n in range(10))
    pools = {ObjectId(Kind.POOL, f"p{n}"): Pool(f"p{n}", real_servers=servers) for n in range(1000)}
    assert 1 == commit(store, pools)
    loaded = store.load().objects
    assert pools == {object_id: stored.value for object_id, stored in loaded.items()}


def test_another_thread_is_refused(store: Store) -> None:
    """A store belongs to the thread that created it."""
    errors = []

    def use() -> None:
        try:
            store.load()
        except StoreError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert 1 == len(errors)


def test_a_closed_store_is_refused(store: Store) -> None:
    """After close every call fails; closing again does not."""
    base = store.load().position
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.load()
    with pytest.raises(StoreError):
        store.commit({BLUE: Pool("blue")}, base=base, expect={}, by="test", commit_id="1")


CHANGES = st.lists(
    st.tuples(strategies.named_objects(), st.booleans()), unique_by=lambda drawn: drawn[0][0]
).map(lambda drawn: {name: value if stands else None for (name, value), stands in drawn})


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(CHANGES, max_size=6))
def test_a_store_behaves_like_a_mapping(make_store: MakeStore, history: list[Changes]) -> None:
    """Commits act like updates of a dictionary, in contents, order and revisions."""
    store = make_store()
    model: dict[ObjectId, tuple[StoredObject, int]] = {}
    revision = 0
    for changes in history:
        if any(value is not None or name in model for name, value in changes.items()):
            revision += 1
        for object_id, value in changes.items():
            if value is None:
                model.pop(object_id, None)
            else:
                model[object_id] = (value, revision)
        assert revision == commit(store, changes)
    loaded = store.load()
    store.close()
    assert list(model.items()) == [
        (object_id, (stored.value, stored.revision)) for object_id, stored in loaded.objects.items()
    ]
