"""Probes over TCP against real servers on loopback: good ones, and bad ones of each kind."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsctl.farm.checks import HttpRequest, StatusRange, TcpRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.probes import http, sockets, tcp
from tests.unit.health.servers import (
    Answer,
    drip,
    full,
    hang_up,
    never,
    refusing,
    request_of,
    reset,
    saying,
    serving,
    target,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"
ANY = (StatusRange(200, 399), StatusRange(404, 404))
SHORT_S = 0.2
LONG_S = 20.0


def http_outcome(answer: Answer, request: HttpRequest, timeout_s: float = LONG_S) -> Outcome:
    """Probe a server that answers so."""

    async def probe() -> Outcome:
        async with serving(answer) as port:
            return await http.probe(request, target(port), timeout_s)

    return asyncio.run(probe())


def reason(outcome: Outcome) -> str:
    """Return why a probe failed, with any port written as PORT."""
    assert isinstance(outcome, ProbeFailed), outcome
    assert outcome.took_s > 0
    return re.sub(r"(?<=127\.0\.0\.1):\d+", ":PORT", str(outcome.reason))


def test_a_connection_that_is_accepted_passes() -> None:
    """Nothing needs to be said."""

    async def probe() -> Outcome:
        async with serving(never) as port:
            return await tcp.probe(TcpRequest(), target(port), LONG_S)

    outcome = asyncio.run(probe())
    assert isinstance(outcome, Passed)
    assert 0 < outcome.took_s < LONG_S


def test_ipv6_is_asked_as_well() -> None:
    """And named in brackets."""

    async def probe() -> tuple[Outcome, Outcome, int]:
        async with serving(never, address="::1") as port:
            good = await tcp.probe(TcpRequest(), target(port, "::1"), LONG_S)
        return good, await tcp.probe(TcpRequest(), target(port, "::1"), LONG_S), port

    good, gone, port = asyncio.run(probe())
    assert isinstance(good, Passed)
    assert f"[::1]:{port} refused the connection" == reason(gone)


@pytest.mark.parametrize(
    ("server", "timeout_s", "expected"),
    [
        pytest.param(refusing, LONG_S, "127.0.0.1:PORT refused the connection", id="refused"),
        pytest.param(
            full,
            SHORT_S,
            "127.0.0.1:PORT: timed out after 0.2 s, waiting for the connection",
            id="timeout",
        ),
    ],
)
def test_a_connection_that_is_not_accepted_fails(
    server: Callable[[], AbstractContextManager[int]], timeout_s: float, expected: str
) -> None:
    """With the reason."""

    async def probe() -> Outcome:
        with server() as port:
            return await tcp.probe(TcpRequest(), target(port), timeout_s)

    assert expected == reason(asyncio.run(probe()))


@pytest.mark.parametrize(
    ("answer", "request_"),
    [
        pytest.param(saying(OK), HttpRequest(), id="200"),
        pytest.param(saying(OK), HttpRequest(body="^fi.e$"), id="body"),
        pytest.param(
            saying(b"HTTP/1.1 404 No\r\n\r\n"), HttpRequest(statuses=ANY), id="an allowed status"
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\n\r\nfine", b"ly"),
            HttpRequest(body="finely$"),
            id="a body that ends with the connection",
        ),
        pytest.param(
            saying(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfin\r\n",
                b"1\r\ne\r\n0\r\n\r\n",
            ),
            HttpRequest(body="^fine$"),
            id="chunks",
        ),
        pytest.param(
            saying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK),
            HttpRequest(body="fine"),
            id="an interim answer before it",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x" * 4_000_000),
            HttpRequest(),
            id="a large body of which nothing is expected",
        ),
        pytest.param(
            saying(OK + b"and something after it"), HttpRequest(body="fine"), id="more behind it"
        ),
        pytest.param(
            saying(OK + b"HTTP/1.1 408 Late\r\nContent-Length: 2\r\n\r\nno"),
            HttpRequest(body="^fine\n$"),
            id="another answer behind it",
        ),
        pytest.param(
            saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\0\0"),
            HttpRequest(statuses=(StatusRange(101, 101),)),
            id="an upgrade",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\0\xc3\xa9!"),
            HttpRequest(body="é"),
            id="a body that is no text",
        ),
        pytest.param(
            saying(b"HTTP/1.1 204 No Content\r\n\r\n"), HttpRequest(body="^$"), id="an empty body"
        ),
    ],
)
def test_a_good_answer_passes(answer: Answer, request_: HttpRequest) -> None:
    """However HTTP/1.1 frames it."""
    assert isinstance(http_outcome(answer, request_), Passed)


TOO_LARGE = "127.0.0.1:PORT: the answer is larger than 1048576 bytes"


@pytest.mark.parametrize(
    ("answer", "request_", "expected"),
    [
        pytest.param(
            saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nfine\n"),
            HttpRequest(statuses=ANY, body="fine"),
            "127.0.0.1:PORT answered 503 (allowed: 200-399, 404)",
            id="wrong status",
        ),
        pytest.param(
            saying(OK),
            HttpRequest(body="well"),
            "127.0.0.1:PORT: 'well' not found in the body (5 bytes)",
            id="wrong body",
        ),
        pytest.param(
            reset,
            HttpRequest(),
            "127.0.0.1:PORT reset the connection, waiting for an answer",
            id="reset",
        ),
        pytest.param(
            hang_up,
            HttpRequest(),
            "127.0.0.1:PORT closed the connection after 0 bytes of its answer",
            id="closed",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200"),
            HttpRequest(),
            "127.0.0.1:PORT closed the connection after 12 bytes of its answer",
            id="closed within the header",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine"),
            HttpRequest(body="fine"),
            "127.0.0.1:PORT closed the connection in the middle of the body",
            id="closed within the body",
        ),
        pytest.param(
            saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            HttpRequest(),
            "127.0.0.1:PORT does not speak HTTP: b'SSH-2.0-OpenSSH_9.2p1\\r\\n'",
            id="garbage",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x" * 4_000_000),
            HttpRequest(body="fine"),
            TOO_LARGE,
            id="a large body",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4_000_000),
            HttpRequest(),
            TOO_LARGE,
            id="a header without end",
        ),
        pytest.param(
            saying(*[b"HTTP/1.1 100 Continue\r\n\r\n" * 1000] * 100),
            HttpRequest(),
            TOO_LARGE,
            id="interim answers without end",
        ),
    ],
)
def test_a_bad_answer_fails(answer: Answer, request_: HttpRequest, expected: str) -> None:
    """With what was wrong, for a person."""
    assert expected == reason(http_outcome(answer, request_))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            never, r"127\.0\.0\.1:PORT: timed out after 0\.2 s, waiting for an answer", id="silence"
        ),
        pytest.param(
            drip,
            r"127\.0\.0\.1:PORT: timed out after 0\.2 s, "
            r"waiting for the rest of its answer, \d+ bytes so far",
            id="slow drip",
        ),
    ],
)
def test_an_answer_that_does_not_come_fails_in_time(answer: Answer, expected: str) -> None:
    """The time is for all of it, not for each byte."""
    outcome = http_outcome(answer, HttpRequest(), SHORT_S)
    assert re.fullmatch(expected, reason(outcome)), outcome
    assert isinstance(outcome, ProbeFailed)
    assert SHORT_S <= outcome.took_s < SHORT_S + 1


def of_length(body: bytes) -> Answer:
    """Return a server that says how long its body is."""
    return saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param(
            "(x{0,99}y){9}",
            r"the body of 127\.0\.0\.1:\d+ cannot be searched: '\(x\{0,99\}y\)\{9\}' has \d+ steps"
            r", so it can search at most \d+ bytes, not 1000000: "
            "write it with fewer repetitions",
            id="much work",
        ),
        pytest.param(
            "(?=x)",
            r"invalid body pattern '\(\?=x\)': invalid perl operator: \(\?=; "
            "change it in the pool's health check",
            id="stored by a director that read patterns otherwise",
        ),
    ],
)
def test_a_pattern_that_cannot_be_searched_for_says_nothing_of_a_server(
    pattern: str, expected: str
) -> None:
    """The verdict stays, and a person reads what to do."""
    outcome = http_outcome(of_length(b"x" * 1_000_000), HttpRequest(body=pattern))
    assert isinstance(outcome, Inconclusive)
    assert re.fullmatch(expected, str(outcome.reason))


def test_a_long_search_does_not_hold_up_other_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop goes on meanwhile."""
    searching, others_ran = threading.Event(), threading.Event()

    class LongSearch:
        def work(self, text: bytes) -> int:
            return 100 * len(text)

        def is_in(self, _: bytes) -> bool:
            searching.set()
            return others_ran.wait(LONG_S)

    async def probe() -> Outcome:
        async with serving(of_length(b"x" * 100_000)) as port:
            asking = asyncio.create_task(http.probe(HttpRequest(body="x"), target(port), LONG_S))
            await asyncio.to_thread(searching.wait, LONG_S)
            others_ran.set()
            return await asking

    monkeypatch.setattr(http, "compiled", lambda _: LongSearch())
    assert isinstance(asyncio.run(probe()), Passed)


def test_the_request_is_what_was_asked_for() -> None:
    """Method, path, the fields that are always there, and further ones that may replace them."""
    heard = b""

    async def probe() -> tuple[Outcome, int]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal heard
            heard = await request_of(reader)
            writer.write(OK)
            await writer.drain()

        async with serving(answer) as port:
            asked = HttpRequest(
                "HEAD",
                "/up?x=1",
                "web.example",
                (("X-Check", "1"), ("user-agent", "check"), ("x-check", "2")),
            )
            return await http.probe(asked, target(port), LONG_S), port

    outcome, _ = asyncio.run(probe())
    assert isinstance(outcome, Passed)
    assert [
        b"HEAD /up?x=1 HTTP/1.1",
        b"Host: web.example",
        b"Accept: */*",
        b"Accept-Encoding: identity",
        b"X-Check: 1",
        b"user-agent: check",
        b"x-check: 2",
        b"Connection: close",
    ] == heard.rstrip().split(b"\r\n")


def test_a_method_with_content_says_that_there_is_none() -> None:
    """Else a server asks for its length, or waits for it (RFC 9110, 8.6)."""
    assert b"\r\nContent-Length: 0\r\n" in http.encode(HttpRequest("POST"), "192.0.2.11:80")
    assert b"Content-Length" not in http.encode(HttpRequest(), "192.0.2.11:80")


def test_without_a_host_the_address_is_named() -> None:
    """With its port, an IPv6 address in brackets (RFC 9110, 7.2)."""
    assert b"\r\nHost: [::1]:80\r\n" in http.encode(HttpRequest(), "[::1]:80")


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
@settings(deadline=None, max_examples=50)
def test_whatever_comes_is_judged(parts: list[bytes]) -> None:
    """No answer makes a probe raise, pass without a status, or say that it is this host's fault."""
    outcome = http_outcome(saying(*parts), HttpRequest(body="x"))
    assert isinstance(outcome, ProbeFailed)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=50)
def test_whatever_follows_a_good_header_is_judged(body: bytes) -> None:
    """A body of any bytes, in chunks that may be none."""
    answer = saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert isinstance(http_outcome(answer, HttpRequest(body="x")), ProbeFailed | Passed)


def test_a_probe_leaves_no_connection_behind() -> None:
    """It ends with a reset: no TIME_WAIT holds its port."""
    ended: list[BaseException | bytes] = []

    async def probe() -> None:
        over = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            try:
                ended.append(await reader.read(1))
            except ConnectionResetError as error:
                ended.append(error)
            over.set()

        async with serving(answer) as port:
            await tcp.probe(TcpRequest(), target(port), LONG_S)
            await over.wait()

    asyncio.run(probe())
    assert isinstance(ended[0], ConnectionResetError)


def test_a_cancelled_probe_closes_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it is cancelled."""
    opened = []
    original = sockets.socket.socket

    def noting(*args: int) -> object:
        opened.append(original(*args))
        return opened[-1]

    async def probe() -> None:
        async with serving(never) as port:
            monkeypatch.setattr(sockets.socket, "socket", noting)
            probing = asyncio.create_task(http.probe(HttpRequest(), target(port), LONG_S))
            for _ in range(5):
                await asyncio.sleep(0)
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
            monkeypatch.undo()

    asyncio.run(probe())
    assert [-1] == [each.fileno() for each in opened]
