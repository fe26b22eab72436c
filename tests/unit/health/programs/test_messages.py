"""Orders and answers survive a round trip, and anything else is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.health.programs.messages import (
    MAX_ORDER,
    BadMessage,
    Ended,
    Order,
    Refused,
    decode_answer,
    decode_order,
    encode,
)

ORDER = Order("check", ("-t", "é"), "198.51.100.10", "2001:db8::11", 80, 1.0)
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=1000)
ADDRESSES = st.none() | st.ip_addresses().map(str).filter(lambda text: "%" not in text)


@given(
    st.builds(
        Order,
        TEXT,
        st.lists(TEXT, max_size=32).map(tuple),
        ADDRESSES,
        ADDRESSES,
        st.none() | st.integers(1, 65535),
        st.floats(0.01, 60.0),
    )
)
def test_an_order_survives_a_round_trip(order: Order) -> None:
    """On one line that is not too long."""
    line = encode(order)
    assert order == decode_order(line)
    assert 1 == line.count(b"\n")
    assert len(line) <= MAX_ORDER


@given(st.builds(Ended, st.integers(-64, 255), TEXT) | st.builds(Refused, TEXT))
def test_an_answer_survives_a_round_trip(answer: Ended | Refused) -> None:
    """Of either kind."""
    assert answer == decode_answer(encode(answer))


def changed(**fields: object) -> bytes:
    """Return an order with some fields changed."""
    return json.dumps({**json.loads(encode(ORDER)), **fields}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\n",
        b"[" * 100_000,
        b"[]\n",
        b"{}\n",
        changed(user="root"),
        changed(program=1),
        changed(arguments="-t"),
        changed(arguments=["a"] * 33),
        changed(arguments=["a\0b"]),
        changed(arguments=["a" * 4001]),
        changed(arguments=[1]),
        changed(vip="web.example.com"),
        changed(vip="fe80::1%eth0"),
        changed(rip=["192.0.2.11"]),
        changed(port=0),
        changed(port=65536),
        changed(port=True),
        changed(port=8.5),
        changed(timeout_s=0),
        changed(timeout_s=61),
        changed(timeout_s=True),
        changed(timeout_s=float("nan")),
        changed(timeout_s="1"),
    ],
)
def test_anything_else_is_not_an_order(line: bytes) -> None:
    """Even if it has just one field too many."""
    with pytest.raises(BadMessage):
        decode_order(line)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"status": "0", "output": ""}', b'{"refusal": 1}'])
def test_anything_else_is_not_an_answer(line: bytes) -> None:
    """The service is another process, possibly of another version."""
    with pytest.raises(BadMessage):
        decode_answer(line)
