"""Which VIPs an agent serves after any sequence of assignments from any farms."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.agent.assignments import Assignments
from lvsctl.messages.model import Assignment, Tunnel

VIPS = [IPv4Address(f"198.51.100.{number}") for number in range(1, 6)]
assignments = st.builds(
    Assignment,
    farm_id=st.sampled_from(["f1", "f2", "f3"]),
    agent=st.just("rs2"),
    vips=st.lists(st.sampled_from(VIPS), unique=True).map(sorted).map(tuple),
    tunnels=st.sampled_from([(Tunnel("ipip"),), (), (Tunnel("gre"), Tunnel("ipip"))]),
)
histories = st.lists(assignments, max_size=8)


def after(history: list[Assignment]) -> Assignments:
    state = Assignments()
    for assignment in history:
        state = state.after(assignment)
    return state


@given(histories, assignments)
def test_a_farm_removes_only_what_it_assigned(history: list[Assignment], new: Assignment) -> None:
    """What goes was the same farm's last word; what it says now is served."""
    before, then = after(history), after(history).after(new)
    said_before = {vip for farm in before.farms if farm.farm_id == new.farm_id for vip in farm.vips}
    assert set(before.vips) - set(then.vips) == said_before - set(new.vips)
    assert set(new.vips) <= set(then.vips)


@given(histories)
def test_every_vip_has_one_farm(history: list[Assignment]) -> None:
    """So that there is always exactly one that can remove it."""
    state = after(history)
    owned = [vip for farm in state.farms for vip in farm.vips]
    assert sorted(owned) == sorted(state.vips)
    assert len({farm.farm_id for farm in state.farms}) == len(state.farms)
    assert all(kept.vips for kept in state.kept)


@given(histories, assignments)
def test_the_last_one_is_current(history: list[Assignment], new: Assignment) -> None:
    """And the same again changes nothing."""
    state = after([*history, new])
    assert (new, new.farm_id) == (state.current, state.farm_id)
    assert state == state.after(new)


def test_nothing_is_known_at_first() -> None:
    """No farm, no VIP, no tunnel."""
    state = Assignments()
    assert (None, "", (), ()) == (state.current, state.farm_id, state.vips, state.tunnels)


ordered = st.builds(
    Assignment,
    farm_id=st.sampled_from(["f1", "f2"]),
    agent=st.just("rs2"),
    vips=st.lists(st.sampled_from(VIPS), unique=True).map(sorted).map(tuple),
    tunnels=st.just((Tunnel("ipip"),)),
    epoch=st.integers(1, 3),
    revision=st.integers(0, 5),
)


@given(st.lists(ordered, max_size=12), ordered)
def test_a_farm_never_takes_back_its_later_word(history: list[Assignment], new: Assignment) -> None:
    """What is behind by epoch, then revision, changes nothing at all."""
    before, then = after(history), after(history).after(new)
    said = [farm for farm in before.farms if farm.farm_id == new.farm_id]
    behind = any((new.epoch, new.revision) < (farm.epoch, farm.revision) for farm in said)
    assert behind is before.is_behind(new)
    assert then == before if behind else new == then.current


def test_a_new_epoch_goes_before_every_revision() -> None:
    """A farm that was restored from a backup is followed, wherever its revision stands."""
    said = Assignment("f1", "rs2", tuple(VIPS), (), epoch=1, revision=900)
    restored = Assignment("f1", "rs2", (VIPS[0],), (), epoch=2, revision=4)
    assert (VIPS[0],) == after([said, restored]).vips
    assert (VIPS[0],) == after([said, restored, said]).vips


def test_a_director_that_tells_no_order_is_followed_as_ever() -> None:
    """An older one."""
    said = Assignment("f1", "rs2", tuple(VIPS), (), epoch=1, revision=9)
    assert () == after([said, Assignment("f1", "rs2", (), ())]).vips
