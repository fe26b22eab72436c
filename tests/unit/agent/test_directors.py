"""Turning from one director to the next, and pausing between attempts."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.agent.directors import Backoff, Directors
from tests.support.fake_director import FakeDirector

BACKOFF = Backoff(1.0, 10.0, Random(1))  # noqa: S311 - jitter


def test_every_director_gets_its_turn() -> None:
    """Round and round, and a failure that was seen twice turns once."""
    clients = [FakeDirector(f"http://lb{number}") for number in (1, 2, 3)]
    directors = Directors(clients, BACKOFF)
    seen = []
    for _ in range(6):
        failed = directors.current
        seen.append(failed.url)
        directors.failed(failed)
        directors.failed(failed)
    assert [f"http://lb{number}" for number in (1, 2, 3, 1, 2, 3)] == seen


def test_one_director_stays() -> None:
    """There is nobody to turn to."""
    only = FakeDirector()
    directors = Directors([only], BACKOFF)
    directors.failed(only)
    assert only is directors.current


@given(st.integers(), st.integers(1, 100))
def test_pauses_grow_to_their_bound(seed: int, attempts: int) -> None:
    """Doubling, between a half and the whole of 1, 2, 4, 8, 10, 10 … seconds."""
    backoff = Backoff(1.0, 10.0, Random(seed))  # noqa: S311 - jitter
    for number in range(attempts):
        bound = min(10.0, 2.0 ** min(number, 10))
        assert bound / 2 <= backoff.next_s() <= bound
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_two_agents_do_not_keep_step() -> None:
    """Their pauses differ, and each differs from the one before."""
    backoffs = [Backoff(1.0, 10.0, Random(seed)) for seed in (1, 2)]  # noqa: S311 - jitter
    pauses = [[backoff.next_s() for _ in range(20)] for backoff in backoffs]
    assert all(mine != theirs for mine, theirs in zip(*pauses, strict=True))
    assert all(earlier != later for each in pauses for earlier, later in pairwise(each))
