"""The hashing schedulers, as far as their laws go; the lab compares them with the kernel."""

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.ipvs.hashing import (
    MH_TABLE_SIZE,
    Candidate,
    maglev_choice,
    maglev_table,
    source_hash_choice,
)

CLIENT = IPv4Address("203.0.113.9")


def candidate(number: int, weight: int, last_weight: int | None = None) -> Candidate:
    """Return a destination."""
    last = weight if last_weight is None else last_weight
    return Candidate(IPv4Address("192.0.2.0") + number, 80, weight, last)


WEIGHTS = st.lists(st.integers(0, 300), min_size=1, max_size=8)


@given(WEIGHTS, st.ip_addresses(), st.integers(0, 65535), st.booleans())
def test_only_an_available_server_is_chosen(
    weights: list[int],
    client: IPv4Address | IPv6Address,
    port: int,
    fallback: bool,  # noqa: FBT001
) -> None:
    """With fallback always one, where there is any."""
    candidates = tuple(candidate(number, weight, 100) for number, weight in enumerate(weights))
    choices = (
        maglev_choice(maglev_table(candidates), client, port, fallback=fallback),
        source_hash_choice(candidates, client, port, fallback=fallback),
    )
    for chosen in choices:
        assert chosen is None or chosen.is_available
    if fallback and any(weights):
        assert choices[0] is not None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_a_maglev_table_is_full_and_follows_the_weights(weights: list[int]) -> None:
    """Each server has its share of the places, but for the last round of turns."""
    candidates = tuple(candidate(number, weight) for number, weight in enumerate(weights))
    table = maglev_table(candidates)
    places = Counter(each.address for each in table)
    assert MH_TABLE_SIZE == len(table)
    for each in candidates:
        share = MH_TABLE_SIZE * each.weight / sum(weights)
        assert abs(places[each.address] - share) <= max(weights)


def test_a_drained_server_keeps_its_places() -> None:
    """Only its own clients move, and those only with fallback."""
    before = tuple(candidate(number, 100) for number in range(3))
    after = (before[0], candidate(1, 0, 100), before[2])
    old, new = maglev_table(before), maglev_table(after)
    for number in range(200):
        client = CLIENT + number
        was = maglev_choice(old, client, 0, fallback=True)
        now = maglev_choice(new, client, 0, fallback=True)
        assert was is not None
        assert now is not None
        if was.address == before[1].address:
            assert now.address != was.address
            assert maglev_choice(new, client, 0, fallback=False) is None
        else:
            assert was.address == now.address


def test_nobody_is_chosen_of_none() -> None:
    """Neither from an empty service nor from servers that never had a weight."""
    assert maglev_choice(maglev_table(()), CLIENT, 0, fallback=True) is None
    assert maglev_choice(maglev_table((candidate(1, 0),)), CLIENT, 0, fallback=True) is None
    assert source_hash_choice([], CLIENT, 0, fallback=True) is None
    assert source_hash_choice([candidate(1, 0)], CLIENT, 0, fallback=True) is None
