"""A store is followed only if its contents succeed the last applied farm."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lvsctl.errors import StoreBehind, StoreCorrupt, StoreNotAccepted
from lvsctl.farm.access import Role, Token
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
def test_why_a_store_is_not_followed(found: Contents, why: str) -> None:
    """Judged by farm, epoch and revision; different states at the same position have diverged."""
    assert why in why_not_followed(found, APPLIED)
    assert bool(why) is bool(why_not_followed(found, APPLIED))


def test_any_store_is_followed_if_nothing_was_applied() -> None:
    """By a new director, and by one whose farm was empty."""
    assert "" == why_not_followed(APPLIED, Contents("other", 9, 9, EMPTY))
    assert "" == GuardedStore(filled(WEB), "", None).refusal


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(0, 3)),
        min_size=2,
        max_size=8,
    )
)
def test_a_director_never_follows_an_older_state(
    positions: list[tuple[str, int, int]],
) -> None:
    """Ordered by epoch, then revision; and never another farm."""
    objects = {key: Stored(value, 0) for key, value in WEB.items()}
    followed = [Contents(*positions[0], objects)]
    for position in positions[1:]:
        found = Contents(*position, objects)
        if not why_not_followed(found, followed[-1]):
            followed.append(found)
    assert 1 == len({each.farm_id for each in followed})
    for before, after in pairwise(followed):
        assert (before.epoch, before.revision) <= (after.epoch, after.revision)


def test_the_applied_farm_replaces_a_store_that_is_not_followed() -> None:
    """It is loaded from the local state, and writes are refused."""
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


def test_a_store_that_cannot_be_opened_or_read() -> None:
    """The director continues with the applied farm; without one it only observes."""

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


def test_the_message_explains_each_option() -> None:
    """Restoring first; following the store only if it has objects, with what that removes."""
    empty = GuardedStore(MemoryStore(), "", APPLIED).refusal
    assert "new and empty" in empty
    assert "--restore-farm" in empty
    assert "--accept-new-farm" not in empty
    other = GuardedStore(filled(MAIL), "", APPLIED).refusal
    assert other.index("--restore-farm") < other.index("which removes web: --accept-new-farm")
    assert "revision 5 of epoch 2 of farm farm" in other


def refused(store: Store, applied: Contents, *, restore: bool, code: str = "") -> Recovery:
    """Return a decision with the code of a refused store."""
    code = code or recovery_code(store.load(), applied)
    assert code in GuardedStore(store, "", applied).refusal
    return Recovery(code, restore)


@pytest.mark.parametrize("commits", [(), (MAIL,), (MAIL, WEB)])
@pytest.mark.parametrize("restore", [True, False])
def test_the_operator_decides_once(restore: bool, commits: tuple[Mapping[ObjectId, Pool]]) -> None:  # noqa: FBT001
    """The farm keeps its id and begins a later epoch; then everything is as usual."""
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


@pytest.mark.parametrize("restore", [True, False])
def test_a_decision_brings_no_token_back(restore: bool) -> None:  # noqa: FBT001
    """One that was revoked since stays so, one that was created since stays valid."""
    old, new = (
        {ObjectId(Kind.TOKEN, name): Token(name, Role.ADMIN, (), "root")} for name in ("old", "new")
    )
    applied = replace(
        APPLIED, objects={key: Stored(value, 5) for key, value in {**WEB, **new}.items()}
    )
    store = MemoryStore()
    commit(store, {**MAIL, **old})
    decision = Recovery(recovery_code(store.load(), applied), restore)
    guarded = GuardedStore(store, "", applied, decision)
    tokens = {key for key in guarded.load().objects if key.kind is Kind.TOKEN}
    assert ("", {*new}) == (guarded.refusal, tokens)
    pools = {key.name for key in guarded.load().objects if key.kind is Kind.POOL}
    assert {"web" if restore else "mail"} == pools


def test_a_decision_left_in_a_unit_file_has_no_further_effect() -> None:
    """Neither on the same backup restored again, nor on any other store."""
    base = filled(MAIL)
    with capture_logs() as logs:
        decision = refused(base, APPLIED, restore=False)
        accepted = GuardedStore(base, "", APPLIED, decision).load()
        for later in (filled(MAIL), filled(WEB), MemoryStore()):
            assert GuardedStore(later, "", accepted, decision).refusal
        again = GuardedStore(filled(MAIL), "", APPLIED, decision)
    assert again.refusal  # another farm's id, so another code
    assert "recovery code of another store" in str(logs)


def test_the_same_copy_needs_another_decision_after_one_was_made() -> None:
    """The code depends on the applied farm too, which has changed."""
    found, later = replace(APPLIED, revision=3), replace(APPLIED, epoch=3, revision=4)
    codes = {recovery_code(found, each) for each in (APPLIED, later)}
    assert 2 == len(codes)
    assert all(code.startswith("farm-3-") for code in codes)


class Losing(MemoryStore):
    """A store that lost its latest commit, and accepts none until a new epoch."""

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
    """Even if it has everything that was applied; without an applied farm it is all there is."""
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


def test_a_store_that_reverts_under_a_running_director_is_no_longer_followed() -> None:
    """Its contents are ignored, and writes are refused."""

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


def test_commits_by_another_director_are_followed() -> None:
    """One by one, or by loading everything if the store says so."""
    base = MemoryStore()
    store = GuardedStore(base, "", None)
    before = store.load().position
    commit(base, WEB)
    assert [1] == [each.revision for each in store.changes_after(before, 10)]  # type: ignore[union-attr]
    position = store.load().position
    base.begin_epoch(position.farm_id, 2, "test")
    assert isinstance(store.changes_after(position, 10), Reload)
    assert "" == store.refusal


def test_a_start_reads_the_store_once() -> None:
    """What was judged is what is followed; what is loaded later is read anew."""
    loads: list[int] = []

    class Counted(MemoryStore):
        def load(self) -> Contents:
            loads.append(1)
            return super().load()

    base = Counted()
    commit(base, WEB)
    loads.clear()
    store = GuardedStore(base, "", None)
    assert WEB.keys() == store.load().objects.keys()
    assert [1] == loads
    commit(base, MAIL)
    assert {*WEB, *MAIL} == store.load().objects.keys()
