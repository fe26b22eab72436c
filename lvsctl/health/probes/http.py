"""HTTP and HTTPS probe (HTTP/1.1)."""

import asyncio
import functools
from http import HTTPStatus

import httptools

from lvsctl.farm.checks import HttpRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.patterns import BadPattern, TooMuchWork, compiled
from lvsctl.health.probes.attempt import Attempt, OwnFault, WrongAnswer, outcome_of
from lvsctl.health.probes.sockets import Connection, connected
from lvsctl.health.probes.tls import TlsConnection, shake_hands
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons

_DEFAULTS = (("User-Agent", "lvsctl"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})  # theirs may be empty, but must say so
_FRAMED = frozenset({b"content-length", b"transfer-encoding"})
_SHOWN = 40
"""Bytes of an invalid response quoted in a reason."""
_WORK_ON_THE_LOOP = 1 << 20
"""Searches up to this cost, 7 ms, run on the event loop; larger ones in a thread."""


async def probe(request: HttpRequest, target: Target, timeout_s: float) -> Outcome:
    """Send a request, and check the status and body of the response.

    The body is read only if the check has a pattern for it.
    """

    async def ask(attempt: Attempt) -> None:
        async with connected(attempt) as plain:
            connection: Connection | TlsConnection = plain
            if request.tls is not None:
                connection = await shake_hands(plain, request.tls, attempt)
            await connection.send(encode(request, attempt.where))
            await _judge(request, connection, attempt)

    return await outcome_of(ask, target, timeout_s)


@functools.lru_cache(maxsize=4096)
def encode(request: HttpRequest, where: str) -> bytes:
    """Encode a request (RFC 9112); ``where`` is the default Host."""
    given = {name.lower() for name, _ in request.headers}
    fields = [
        ("Host", request.host or where),
        *((name, value) for name, value in _DEFAULTS if name.lower() not in given),
        *request.headers,
        ("Connection", "close"),
    ]
    if request.method in _WITH_CONTENT:
        fields.append(("Content-Length", "0"))
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode()


class _Answer:
    """A response as it is received; httptools calls the methods named ``on_…``.

    Attributes:
        received: Bytes so far.
        status: None until the header of the final response is complete; 1xx is interim.
        body: Bytes of the body so far.
        is_complete: The response has ended.
        ends_with_connection: It has no Content-Length and is not chunked.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.received = 0
        self.status: int | None = None
        self.body = bytearray()
        self.is_complete = False
        self.ends_with_connection = True

    def feed(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises:
            httptools.HttpParserError: Not HTTP.
        """
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_complete = True
        except httptools.HttpParserError:
            if not self.is_complete:  # bytes after the response are not part of it
                raise

    def on_message_begin(self) -> None:
        self.ends_with_connection = True

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in _FRAMED:
            self.ends_with_connection = False

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        is_final = status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS
        if is_final and not self.is_complete:
            self.status = status

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.body += data

    def on_message_complete(self) -> None:
        self.is_complete = self.status is not None


async def _judge(
    request: HttpRequest, connection: Connection | TlsConnection, attempt: Attempt
) -> None:
    answer = _Answer()
    while answer.status is None:
        if not await _more(answer, connection, attempt):
            raise WrongAnswer(reasons.CLOSED_EARLY(attempt.where, received=answer.received))
    if not any(answer.status in allowed for allowed in request.statuses):
        allowed = [*map(str, request.statuses)]
        raise WrongAnswer(reasons.HTTP_STATUS(attempt.where, status=answer.status, allowed=allowed))
    if request.body is None:
        return
    while not answer.is_complete:
        if not await _more(answer, connection, attempt):
            if not answer.ends_with_connection:
                raise WrongAnswer(reasons.BODY_CUT(attempt.where))
            break
    attempt.stop_the_clock()  # how long the search takes says nothing about the server
    if not await _is_in(request.body, bytes(answer.body), attempt):
        size = len(answer.body)
        pattern = repr(request.body)
        raise WrongAnswer(reasons.BODY_MISMATCH(attempt.where, pattern=pattern, size=size))


async def _is_in(pattern: str, body: bytes, attempt: Attempt) -> bool:
    try:
        sought = compiled(pattern)
        if sought.work(body) <= _WORK_ON_THE_LOOP:
            return sought.is_in(body)
    except BadPattern as error:
        raise OwnFault(reasons.BAD_PATTERN(pattern=repr(pattern), error=error)) from error
    except TooMuchWork as error:
        raise OwnFault(reasons.BODY_NOT_SEARCHABLE(attempt.where, error=error)) from error
    return await asyncio.to_thread(sought.is_in, body)


async def _more(answer: _Answer, connection: Connection | TlsConnection, attempt: Attempt) -> bool:
    """Receive and parse more bytes; False at the end of the stream."""
    data = await connection.receive()
    if data:
        try:
            answer.feed(data)
        except httptools.HttpParserError as error:
            shown = repr(data[:_SHOWN])
            raise WrongAnswer(reasons.NOT_HTTP(attempt.where, answer=shown)) from error
        attempt.awaits = f"the rest of its answer, {answer.received} bytes so far"
    return bool(data)
