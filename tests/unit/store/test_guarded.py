"""A store is followed only where it follows what was applied last."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lvsctl.errors import StoreBehind, StoreCorrupt, StoreNotAccepted
from lvsctl.farm.model import Pool
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.store.commits import Batch, Reload
from lvsctl.store.guarded import GuardedStore
from lvsctl.store.interface import Contents, Store, Stored
from lvsctl.store.memory import MemoryStore
from lvsctl.store.position import Position
from lvsctl.store.recovery import Recovery, recovery_code, why_not_followed
from tests.support.stores import commit
from tests.unit.director.farms import web

WEB = {ObjectId(Kind.POOL, "web"): Pool("web"), ObjectId(Kind.SERVICE, "web"): web()}
MAIL = {ObjectId(Kind.POOL, "mail"): Pool("mail")}
APPLIED = Contents("farm", 2, 5, {key: Stored(value, 5) for key, value in WEB.items()})
EMPTY: Mapping[ObjectId, Stored] = {}


def filled(*commits: Mapping[ObjectId, Pool]) -> MemoryStore:
    """Return a store with some commits."""
    store = MemoryStore()
    for changes in commits:
        commit(store, changes)
    return store


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (APPLIED, ""),
        (replace(APPLIED, revision=6), ""),
        (replace(APPLIED, revision=6, objects=EMPTY), ""),  # somebody removed everything
        (replace(APPLIED, epoch=3, revision=1, objects=EMPTY), ""),
        (replace(APPLIED, revision=4), "gone back"),
        (replace(APPLIED, epoch=1, revision=9), "gone back"),
        (replace(APPLIED, farm_id="other", epoch=9, revision=9), "another farm"),
        (Contents("other", 1, 0, EMPTY), "new and empty"),
        (replace(APPLIED, revision=6, lost=Position("farm", 2, 9)), "up to revision 9"),
        (replace(APPLIED, objects={key: Stored(value, 4) for key, value in WEB.items()}), "past"),
    ],
)
def test_a_store_is_an_order_where_it_is_not_behind(found: Contents, why: str) -> None:
    """By farm, epoch and revision; two states at one position are two pasts."""
    assert why in why_not_followed(found, APPLIED)
    assert bool(why) is bool(why_not_followed(found, APPLIED))


def test_where_nothing_was_applied_there_is_nothing_to_lose() -> None:
    """A new director follows what it is given, and so does one whose farm was empty."""
    assert "" == why_not_followed(APPLIED, Contents("other", 9, 9, EMPTY))
    assert "" == GuardedStore(filled(WEB), "", None).refusal


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(0, 3)),
        min_size=2,
        max_size=8,
    )
)
def test_what_is_followed_one_after_the_other_never_goes_back(
    positions: list[tuple[str, int, int]],
) -> None:
    """Of one farm, by epoch and then by revision; no other farm is ever among them."""
    objects = {key: Stored(value, 0) for key, value in WEB.items()}
    followed = [Contents(*positions[0], objects)]
    for position in positions[1:]:
        found = Contents(*position, objects)
        if not why_not_followed(found, followed[-1]):
            followed.append(found)
    assert 1 == len({each.farm_id for each in followed})
    for before, after in pairwise(followed):
        assert (before.epoch, before.revision) <= (after.epoch, after.revision)


def test_a_store_that_is_not_followed_is_replaced_by_what_was_applied() -> None:
    """It is read from the local state, and nothing can be written."""
    store = GuardedStore(MemoryStore(), "", APPLIED)
    assert APPLIED == store.load()
    assert not store.is_blind
    for write in (
        lambda: commit(store, MAIL),
        lambda: store.begin_epoch("farm", 9, "test"),
        store.check_writable,
    ):
        with pytest.raises(StoreNotAccepted, match="--restore-farm"):
            write()
    store.close()


def test_a_store_that_cannot_be_opened_or_read_is_none() -> None:
    """With what was applied the director goes on; without it knows nothing, and observes."""

    class Unreadable(MemoryStore):
        def load(self) -> Contents:
            raise StoreCorrupt("farm.db is damaged")

    for store, why in ((None, "farm.db is damaged"), (Unreadable(), "")):
        known = GuardedStore(store, why, APPLIED)
        assert (APPLIED, False) == (known.load(), known.is_blind)
        assert "farm.db is damaged" in known.refusal
        unknown = GuardedStore(store, why, None)
        assert ({}, True) == (unknown.load().objects, unknown.is_blind)
        assert "only observes" in unknown.refusal


def test_the_message_says_what_each_cure_does() -> None:
    """To restore comes first; to follow the store is named with what it removes, if it is one."""
    empty = GuardedStore(MemoryStore(), "", APPLIED).refusal
    assert "new and empty" in empty
    assert "--restore-farm" in empty
    assert "--accept-new-farm" not in empty
    other = GuardedStore(filled(MAIL), "", APPLIED).refusal
    assert other.index("--restore-farm") < other.index("which removes web: --accept-new-farm")
    assert "revision 5 of epoch 2 of farm farm" in other


def refused(store: Store, applied: Contents, *, restore: bool, code: str = "") -> Recovery:
    """Return the decision that a refusal asks for."""
    code = code or recovery_code(store.load(), applied)
    assert code in GuardedStore(store, "", applied).refusal
    return Recovery(code, restore)


@pytest.mark.parametrize("commits", [(), (MAIL,), (MAIL, WEB)])
@pytest.mark.parametrize("restore", [True, False])
def test_a_person_decides_once(restore: bool, commits: tuple[Mapping[ObjectId, Pool]]) -> None:  # noqa: FBT001
    """The farm keeps its id and begins an epoch above what was applied; then all is as ever."""
    base = filled(*commits) if commits else filled(MAIL, dict.fromkeys(MAIL))
    found = base.load()
    with capture_logs():
        store = GuardedStore(base, "", APPLIED, refused(base, APPLIED, restore=restore))
    now = store.load()
    assert ("", "farm", 3) == (store.refusal, now.farm_id, now.epoch)
    expected = APPLIED if restore else found
    assert {k: s.value for k, s in expected.objects.items()} == {
        k: s.value for k, s in now.objects.items()
    }
    assert str(now.position) in store.begun
    commit(store, MAIL)
    after = GuardedStore(base, "", now)
    assert ("", "") == (after.refusal, after.begun)


def test_a_decision_that_is_left_in_a_unit_file_decides_nothing_more() -> None:
    """Not about the same backup that is put back again, nor about any other store."""
    base = filled(MAIL)
    with capture_logs() as logs:
        decision = refused(base, APPLIED, restore=False)
        accepted = GuardedStore(base, "", APPLIED, decision).load()
        for later in (filled(MAIL), filled(WEB), MemoryStore()):
            assert GuardedStore(later, "", accepted, decision).refusal
        again = GuardedStore(filled(MAIL), "", APPLIED, decision)
    assert again.refusal  # another farm's id, so another code
    assert "recovery code of another store" in str(logs)


def test_the_same_copy_needs_another_decision_once_one_was_taken() -> None:
    """The code names what was applied too, which is another since."""
    found, later = replace(APPLIED, revision=3), replace(APPLIED, epoch=3, revision=4)
    codes = {recovery_code(found, each) for each in (APPLIED, later)}
    assert 2 == len(codes)
    assert all(code.startswith("farm-3-") for code in codes)


class Losing(MemoryStore):
    """A store that has lost its latest commit and takes no more until a new epoch begins."""

    lost: Position | None = None

    def load(self) -> Contents:
        return replace(super().load(), lost=self.lost)

    def commit(self, *args: object, **more: object) -> int:
        if self.lost:
            raise StoreBehind("commits are lost")
        return super().commit(*args, **more)  # type: ignore[arg-type]

    def begin_epoch(self, farm_id: str, epoch: int, by: str) -> Position:
        self.lost = None
        return super().begin_epoch(farm_id, epoch, by)


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("restore", [True, False])
def test_a_store_that_lost_commits_is_not_followed(restore: bool, applied: bool) -> None:  # noqa: FBT001
    """Not even one that has all that was applied; where nothing is known, it is all there is."""
    base = Losing()
    commit(base, WEB)
    known = base.load()
    commit(base, MAIL)
    held = base.load() if not applied else known
    base.lost = Position(known.farm_id, 1, 9)
    before = GuardedStore(base, "", known if applied else None)
    assert "lost its latest commits, up to revision 9" in before.refusal
    assert (held.objects, False) == (before.load().objects, before.is_blind)
    decision = Recovery(recovery_code(base.load(), known if applied else held), restore)
    with capture_logs():
        after = GuardedStore(base, "", known if applied else None, decision)
    expected = known if restore and applied else replace(known, objects={**WEB, **MAIL})
    assert ("", known.farm_id, 2) == (after.refusal, after.load().farm_id, after.load().epoch)
    assert set(expected.objects) == set(after.load().objects)
    commit(after, MAIL)


def test_a_store_that_goes_back_under_a_running_director_is_left_there() -> None:
    """Nothing of it is taken in, and nothing is written any more."""

    class Swapped(MemoryStore):
        older: MemoryStore | None = None

        def load(self) -> Contents:
            return self.older.load() if self.older else super().load()

        def changes_after(self, position: Position, limit: int) -> Batch | Reload:
            return Reload("another") if self.older else super().changes_after(position, limit)

    base = Swapped()
    store = GuardedStore(base, "", None)
    commit(store, WEB)
    position = store.load().position
    base.older = filled(MAIL)
    assert () == store.changes_after(position, 10)
    assert "is not followed any more" in store.refusal
    with pytest.raises(StoreNotAccepted):
        commit(store, MAIL)


def test_a_store_that_somebody_else_leads_on_is_followed() -> None:
    """Commit by commit, and where it says so, by loading it anew."""
    base = MemoryStore()
    store = GuardedStore(base, "", None)
    before = store.load().position
    commit(base, WEB)
    assert [1] == [each.revision for each in store.changes_after(before, 10)]  # type: ignore[union-attr]
    position = store.load().position
    base.begin_epoch(position.farm_id, 2, "test")
    assert isinstance(store.changes_after(position, 10), Reload)
    assert "" == store.refusal
