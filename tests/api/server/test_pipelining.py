"""Requests that do not wait for the answers before them."""

import gc
import re
import weakref

import pytest

from api.server.limits import BODY_S, MAX_PIPELINED
from tests.api.server.served import App, Served, settle
from tests.unit import virtual_time

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
LONG_POLL_S = 60


def test_a_few_are_answered_in_their_order() -> None:
    """Each when the one before has been."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        app.may_answer.clear()
        await served.send(b"".join(GET % n for n in range(1 + MAX_PIPELINED)))
        assert 1 == len(app.scopes)
        app.may_answer.set()
        await settle()
        assert [200] * (1 + MAX_PIPELINED) == served.statuses
        assert [str(n) for n in range(9)] == re.findall(r"^/(\d)", served.text, re.MULTILINE)
        assert served.is_open

    virtual_time.run(scenario())


def test_many_do_not_pile_up() -> None:
    """Those that are kept are answered; then the connection is closed."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        app.may_answer.clear()
        await served.send(b"".join(GET % n for n in range(1000)))
        assert MAX_PIPELINED == len(served.protocol.pipeline)
        app.may_answer.set()
        await settle()
        assert [200] * (1 + MAX_PIPELINED) == served.statuses
        assert not served.is_open

    virtual_time.run(scenario())


@pytest.mark.parametrize("bad", [b"\0", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 1000])
def test_a_bad_one_does_not_cut_the_answer_before_it(bad: bytes) -> None:
    async def scenario() -> None:
        app = App()
        served = Served(app)
        app.may_answer.clear()
        await served.send(GET % 1 + bad)
        assert (served.is_open, []) == (True, served.statuses)
        app.may_answer.set()
        await settle()
        assert [200] == served.statuses
        assert not served.is_open

    virtual_time.run(scenario())


def test_a_body_that_waits_for_an_answer_is_not_late() -> None:
    """It is not read meanwhile."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        app.may_answer.clear()
        put = b"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
        await served.send(GET % 1 + put)
        await served.pass_time(BODY_S + LONG_POLL_S)
        app.may_answer.set()
        await settle()
        await served.send(b"{}")
        assert [200, 200] == served.statuses

    virtual_time.run(scenario())


def test_a_client_that_is_gone_ends_the_answer_under_way() -> None:
    """And no other begins, and nothing is kept of the connection."""

    async def scenario() -> None:
        app = App()
        served = Served(app)
        app.may_answer.clear()
        await served.send(GET % 1 + GET % 2)
        served.transport.close()
        await settle()
        assert (1, 1) == (app.gone, len(app.scopes))
        assert [] == list(served.connections)
        app.scopes.clear()
        protocol = weakref.ref(served.protocol)
        gc.disable()
        try:
            del served.protocol, served.transport.protocol
            await settle()
            assert protocol() is None
        finally:
            gc.enable()

    virtual_time.run(scenario())
