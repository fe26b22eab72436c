"""Sharing tests out to guests."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.lab.shares import shares, shuffled

ids = st.text("abc", max_size=3)
durations = st.dictionaries(ids, st.floats(0, 100))


@given(st.lists(ids, unique=True), durations, st.integers(1, 4))
def test_each_test_is_in_one_share(tests: list[str], took_s: dict[str, float], guests: int) -> None:
    """Nothing is left out, nothing is run twice, and the order within a share is the given one."""
    shared = shares(tests, took_s, guests)
    assert guests == len(shared)
    assert sorted(tests) == sorted(test for share in shared for test in share)
    assert all(share == sorted(share, key=tests.index) for share in shared)


@given(st.lists(ids, unique=True, min_size=1), durations, st.integers(1, 4))
def test_no_guest_is_busy_for_much_longer(
    tests: list[str], took_s: dict[str, float], guests: int
) -> None:
    """The guest that is busy longest is so by no more than the longest test."""
    shared = shares(tests, took_s, guests)
    busy_s = [sum(took_s.get(test, 1.0) for test in share) for share in shared]
    longest_s = max(took_s.get(test, 1.0) for test in tests)
    assert max(busy_s) - min(busy_s) <= longest_s + 1e-9


def test_without_durations_neighbours_are_parted() -> None:
    """What stands together and likely takes as long is shared evenly."""
    assert [["a", "c"], ["b", "d"]] == shares(["a", "b", "c", "d"], {}, 2)


def test_a_new_test_likely_takes_as_long_as_others_of_its_file() -> None:
    """Where those are known."""
    tests = ["a::1", "a::2", "b::1", "b::2"]
    assert [["a::2", "b::2"], ["a::1", "b::1"]] == shares(tests, {"a::1": 3.0, "a": 4.0}, 2)


def test_what_shares_a_network_stays_together() -> None:
    """One guest has all of a file that shares, and the others the rest."""
    tests = ["a::1", "a::2", "a::own", "b::1"]
    shared = shares(tests, {"a::1": 5.0, "a::2": 5.0}, 2, {"a::1", "a::2"})
    assert [["a::1", "a::2"], ["a::own", "b::1"]] == shared


@given(st.lists(ids, unique=True), st.integers(), st.sets(ids))
def test_a_seed_makes_an_order(tests: list[str], seed: int, together: set[str]) -> None:
    """The same one makes the same order, of the same tests."""
    order = shuffled(tests, seed, together)
    assert sorted(tests) == sorted(order)
    assert order == shuffled(tests, seed, together)


def test_seeds_make_different_orders() -> None:
    """Of which none parts the tests that share."""
    tests = [f"{file}::{number}" for file in "abc" for number in range(5)]
    together = {test for test in tests if test.startswith("b")}
    orders = {tuple(shuffled(tests, seed, together)) for seed in range(20)}
    assert 20 == len(orders)
    for order in orders:
        places = [place for place, test in enumerate(order) if test in together]
        assert places == list(range(places[0], places[0] + 5))
