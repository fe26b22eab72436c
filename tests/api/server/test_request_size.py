"""A request has a size, whatever parts of it a client makes large."""

import math

import pytest

from api.server.limits import LINGER_S, MAX_FIELDS, MAX_HEAD_BYTES, PARSED_BYTES
from tests.api.server.served import App, Served, chunks
from tests.unit import virtual_time

GET = b"GET /a HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
CHUNKED = b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HUGE = b"x" * 1024 * 1024
PACKET_SIZES = [1460, 65536, 262144]

ENDLESS = {
    "a target": (GET[:5], HUGE),
    "a field's name": (GET + HOST, HUGE),
    "a field's value": (GET + HOST + b"A: ", HUGE),
    "spaces before a value": (GET + HOST + b"A: ", b" " * len(HUGE)),
    "fields": (GET, (b"A: " + b"x" * 1000 + b"\r\n") * 99 + b"\r\n"),
    "small fields": (GET + HOST, b"A: 1\r\n" * 100_000),
    "a chunk's extension": (CHUNKED + b"1;a=", HUGE),
    "extensions": (CHUNKED, b"".join(chunks(b"x" * 8192, 1, b";a=" + b"1" * 99))),
    "a trailer's name": (CHUNKED + b"1\r\nx\r\n0\r\n", HUGE),
    "a trailer's value": (CHUNKED + b"1\r\nx\r\n0\r\nA: ", HUGE),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"A: 1\r\n" * 100_000),
    "a trailer after a large body": (
        CHUNKED + b"".join(chunks(HUGE, 65536)) + b"0\r\nA: ",
        HUGE,
    ),
}


@pytest.mark.parametrize("packet_size", PACKET_SIZES)
@pytest.mark.parametrize(("before", "endless"), ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_refused(before: bytes, endless: bytes, packet_size: int) -> None:
    """With 431, not much later than at the limit; the app gets no whole request."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        taken = await served.send(before + endless, packet_size)
        assert [431] == served.statuses
        assert "connection: close" in served.text
        limit = len(before) + MAX_HEAD_BYTES + 2 * PARSED_BYTES
        assert taken <= math.ceil(limit / packet_size) * packet_size
        assert [] == app.bodies
        await served.pass_time(LINGER_S + 1)
        assert not served.is_open

    virtual_time.run(scenario())


@pytest.mark.parametrize("packet_size", [1, *PACKET_SIZES])
def test_a_head_of_just_the_size_is_taken(packet_size: int) -> None:
    """And its size is that of all its parts."""

    async def scenario(size: int) -> list[int]:
        served = Served(App())
        head = GET + HOST + b"A: "
        head += b"x" * (size - len(head) - len(b"\r\n")) + b"\r\n"
        await served.send(head + b"\r\n", packet_size)
        return served.statuses

    overhead = len("GET  HTTP/1.1\r\n")
    assert [200] == virtual_time.run(scenario(MAX_HEAD_BYTES - 100))
    assert [431] == virtual_time.run(scenario(MAX_HEAD_BYTES + overhead + 1))


def test_as_many_fields_as_allowed_are_taken() -> None:
    async def scenario(fields: int) -> list[int]:
        served = Served(App())
        await served.send(GET + HOST + b"A: 1\r\n" * (fields - 1) + b"\r\n")
        return served.statuses

    assert [200] == virtual_time.run(scenario(MAX_FIELDS))
    assert [431] == virtual_time.run(scenario(MAX_FIELDS + 1))


@pytest.mark.parametrize("packet_size", PACKET_SIZES)
@pytest.mark.parametrize("chunk_size", [1, 10, 65536])
def test_chunks_of_any_size_are_taken(chunk_size: int, packet_size: int) -> None:
    """With few bytes in each, and one request after another."""
    body = b"x" * 200_000

    async def scenario() -> None:
        app = App()
        served = Served(app)
        whole = CHUNKED + b"".join(chunks(body, chunk_size)) + b"0\r\nA: 1\r\n\r\n"
        for _ in range(3):
            assert len(whole) == await served.send(whole, packet_size)
        assert [200, 200, 200] == served.statuses
        assert [body, body, body] == app.bodies

    virtual_time.run(scenario())


def test_a_trailer_is_no_header() -> None:
    """Nobody can add a credential after the head was judged."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        await served.send(CHUNKED + b"1\r\nx\r\n0\r\nAuthorization: Bearer a\r\n\r\n")
        assert [200] == served.statuses
        assert b"authorization" not in dict(app.scopes[0]["headers"])

    virtual_time.run(scenario())


def test_a_body_that_was_answered_before_it_ended_is_bounded_too() -> None:
    """It gets no second answer."""

    async def scenario() -> None:
        served = Served(App(reads_bodies=False))
        await served.send(CHUNKED + b"1\r\nx\r\n")
        assert [200] == served.statuses
        await served.send(b"0\r\nA: " + HUGE)
        assert [200] == served.statuses
        assert served.transport.ended

    virtual_time.run(scenario())
