"""What comes over a connection, and how it ends."""

import json

import pytest

from api.server.limits import LINGER_BYTES
from tests.api.server.served import App, Served, settle
from tests.unit import virtual_time

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_one_request_after_another_is_answered() -> None:
    async def scenario() -> None:
        served = Served(App())
        await served.send(2 * GET, size=7)
        await served.send(GET)
        assert ([200, 200, 200], True) == (served.statuses, served.is_open)

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET \xff HTTP/1.1\r\n\r\n", b"{}"],
)
def test_what_is_no_request_is_refused(garbage: bytes) -> None:
    """With a problem, and what follows is dropped."""

    async def scenario() -> None:
        served = Served(App())
        await served.send(garbage)
        head, _, body = served.text.partition("\r\n\r\n")
        assert "HTTP/1.1 400 Bad Request" in head
        assert "content-type: application/problem+json" in head
        assert "not HTTP/1.1" in json.loads(body)["detail"]
        served.protocol.data_received(GET)
        await settle()
        assert [400] == served.statuses

    virtual_time.run(scenario())


def test_input_is_dropped_after_a_refusal_for_a_while() -> None:
    """So that the client sees the answer, however much it sends before it looks."""

    async def scenario() -> None:
        served = Served(App())
        await served.send(b"garbage")
        for _ in range(LINGER_BYTES // 65536):
            served.protocol.data_received(b"x" * 65536)
        assert served.is_open
        served.protocol.data_received(b"x")
        assert not served.is_open

    virtual_time.run(scenario())


def test_a_body_that_breaks_is_refused_once() -> None:
    """The app learns that the rest will not come."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        await served.send(PUT + b"1\r\nx\r\n")
        await served.send(b"garbage")
        assert ([400], 1, []) == (served.statuses, app.gone, app.bodies)

    virtual_time.run(scenario())


@pytest.mark.parametrize("packet_size", [10, 1460])
@pytest.mark.parametrize("upgrade", [b"Upgrade: websocket", b"Upgrade: h2c"])
def test_another_protocol_is_not_spoken(upgrade: bytes, packet_size: int) -> None:
    """The request is answered as one without a body, and nothing after it is read as a request."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        fields = b"Host: a\r\nConnection: Upgrade\r\n" + upgrade + b"\r\nContent-Length: 99\r\n"
        await served.send(b"PUT /a HTTP/1.1\r\n" + fields + b"\r\n" + GET, packet_size)
        assert ([200], [b""]) == (served.statuses, app.bodies)
        assert not served.is_open

    virtual_time.run(scenario())


def test_one_that_had_to_go_before_it_began_is_closed() -> None:
    async def scenario() -> None:
        served = Served(App())
        served.protocol.transport = None  # type: ignore[assignment]
        served.protocol.abort()
        served.protocol.connection_made(served.transport)
        await settle()
        assert not served.is_open
        assert [] == list(served.connections)

    virtual_time.run(scenario())
