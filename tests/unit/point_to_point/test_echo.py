"""ICMP echo on the wire, and what a row of probes says."""

from hypothesis import given
from hypothesis import strategies as st

from lvsctl.net import Family, internet_checksum
from lvsctl.point_to_point.echo import is_reply, request
from lvsctl.point_to_point.window import LOST_IN_A_ROW, WINDOW, Probes, Window

TOKEN = bytes(range(16))


def answered(packet: bytes, kind: int) -> bytes:
    return bytes([kind]) + packet[1:]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 1 << 20))
def test_a_request_is_64_bytes_with_a_right_checksum(token: bytes, sequence: int) -> None:
    """Over the whole message the checksum comes out as zero (RFC 1071)."""
    packet = request(Family.IPV4, token, sequence)
    assert (8, 64, 0) == (packet[0], len(packet), internet_checksum(packet))


def test_the_checksum_is_that_of_the_rfc() -> None:
    """The example of RFC 1071, section 3, has the sum ddf2."""
    assert 0xDDF2 == ~internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) & 0xFFFF


def test_only_an_answer_with_the_token_is_one() -> None:
    """With and without IP header; neither a request nor somebody else's answer."""
    packet = request(Family.IPV4, TOKEN, 1)
    reply = answered(packet, 0)
    header = bytes([0x46]) + bytes(23)
    assert is_reply(Family.IPV4, reply, TOKEN)
    assert is_reply(Family.IPV4, header + reply, TOKEN)
    assert is_reply(Family.IPV6, answered(request(Family.IPV6, TOKEN, 1), 129), TOKEN)
    assert not is_reply(Family.IPV4, packet, TOKEN)
    assert not is_reply(Family.IPV4, reply, bytes(16))
    assert not is_reply(Family.IPV4, reply[:20], TOKEN)


@given(st.sampled_from(Family), st.binary(max_size=80))
def test_garbage_is_no_answer(family: Family, packet: bytes) -> None:
    """Whatever arrives, without the token it is passed over."""
    assert not is_reply(family, packet, TOKEN)


@given(st.lists(st.none() | st.floats(0, 1), max_size=60))
def test_a_window_counts_the_last_probes(round_trips_s: list[float | None]) -> None:
    """Sent, lost and mean are of the last ones; some unanswered in a row mean silence."""
    window = Window()
    for round_trip_s in round_trips_s:
        window.add(round_trip_s)
    last = round_trips_s[-WINDOW:]
    trips = [trip for trip in last if trip is not None]
    mean_us = round(sum(trips) / len(trips) * 1e6) if trips else None
    assert Probes(len(last), len(last) - len(trips), mean_us) == window.probes
    assert any(trip is not None for trip in last[-LOST_IN_A_ROW:]) == window.answers
