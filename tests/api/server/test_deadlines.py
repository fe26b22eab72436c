"""A client has its time, and no more."""

import pytest

from api.server.limits import (
    ANONYMOUS_IDLE_S,
    AUTHENTICATED_IDLE_S,
    BODY_S,
    HEAD_S,
    LINGER_S,
    UNREAD_S,
)
from tests.api.server.served import App, Served, settle
from tests.unit import virtual_time

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"


@pytest.mark.parametrize(
    ("sent", "drop", "statuses"),
    [
        (b"", b"", []),
        (b"", b"\r\n", []),
        (b"GET /", b"a", [408]),
        (b"GET /a HTTP/1.1\r\nHost: a\r\n", b"A: 1\r\n", [408]),
    ],
)
def test_a_head_has_its_time(sent: bytes, drop: bytes, statuses: list[int]) -> None:
    """However it drips."""

    async def scenario() -> None:
        served = Served(App())
        await served.send(sent)
        for _ in range(int(HEAD_S) - 1):
            await served.pass_time(1)
            await served.send(drop)
            assert served.is_open
        await served.pass_time(1 + LINGER_S + 1)
        assert (statuses, False) == (served.statuses, served.is_open)

    virtual_time.run(scenario())


def test_a_body_has_its_time() -> None:
    """The app learns that it will not come, and the client what is asked of it."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        await served.send(PUT + b"\r\n")
        for _ in range(int(BODY_S) - 1):
            await served.pass_time(1)
            await served.send(b"x")
            assert [] == served.statuses
        await served.pass_time(2)
        assert ([408], 1, []) == (served.statuses, app.gone, app.bodies)
        assert "within 60 s" in served.text
        await served.pass_time(LINGER_S)
        assert not served.is_open

    virtual_time.run(scenario())


@pytest.mark.parametrize("head", [PUT + b"\r\n", PUT + b"Expect: 100-continue\r\n\r\n"])
def test_a_body_that_the_app_does_not_read_is_not_late(head: bytes) -> None:
    """As where large bodies are read one after another."""

    async def scenario() -> None:
        app = App(reads_bodies=False)
        app.may_answer.clear()
        served = Served(app)
        await served.send(head + b"x" * 70_000 if b"Expect" not in head else head)
        await served.pass_time(3 * BODY_S)
        assert (True, []) == (served.is_open, served.statuses)

    virtual_time.run(scenario())


def test_an_answer_has_all_the_time_it_takes() -> None:
    """Such as one that agents wait for."""

    async def scenario() -> None:
        app = App()
        app.may_answer.clear()
        served = Served(app)
        await served.send(GET)
        await served.pass_time(3600)
        app.may_answer.set()
        await settle()
        assert ([200], True) == (served.statuses, served.is_open)

    virtual_time.run(scenario())


def test_an_unused_connection_has_its_time() -> None:
    """More, once it has shown a valid credential."""

    async def scenario(*, authenticated: bool) -> list[bool]:
        app = App()
        served = Served(app)
        await served.send(GET)
        if authenticated:
            app.scopes[0]["state"]["lvsctl.authenticated"]()
            await served.send(GET)
        found = []
        for seconds in (ANONYMOUS_IDLE_S - 1, 2, AUTHENTICATED_IDLE_S - ANONYMOUS_IDLE_S - 2, 2):
            await served.pass_time(seconds)
            await served.send(b"\r\n")
            found.append(served.is_open)
        return found

    assert [True, False, False, False] == virtual_time.run(scenario(authenticated=False))
    assert [True, True, True, False] == virtual_time.run(scenario(authenticated=True))


def test_an_answer_that_is_not_read_is_given_up() -> None:
    """Until then one piece of it is held."""

    async def scenario() -> None:
        app = App(answer=b"x" * 5_000_000)
        served = Served(app)
        served.protocol.pause_writing()  # as the transport does when its buffer is full
        await served.send(GET)
        await served.pass_time(UNREAD_S - 1)
        assert (True, 0) == (served.is_open, len(served.transport.written))
        served.protocol.resume_writing()
        served.protocol.pause_writing()
        await settle()
        assert len(served.transport.written) < 100_000
        await served.pass_time(UNREAD_S - 1)
        assert served.is_open
        await served.pass_time(2)
        assert not served.is_open

    virtual_time.run(scenario())


def test_the_end_of_an_answer_that_is_not_read_is_given_up() -> None:
    """It is small enough to be no longer waited for, and a close waits until it is read."""

    async def scenario(fields: bytes) -> None:
        served = Served(App())
        served.transport.reads = False
        await served.send(b"GET /a HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        await served.pass_time(ANONYMOUS_IDLE_S - 1)
        assert served.is_open
        await served.pass_time(2)
        assert not served.is_open

    virtual_time.run(scenario(b""))
    virtual_time.run(scenario(b"Connection: close\r\n"))
