"""HTTP on one connection: uvicorn's protocol, with limits on the client."""

import asyncio
import re
import socket
from collections.abc import Iterable
from enum import Enum, auto

from httptools import HttpParserError, HttpParserUpgrade
from starlette.responses import Response
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from api.access import AUTHENTICATED, PEER_UID
from api.problems import BAD_REQUEST, TOO_SLOW, RequestRefused, problem_response
from api.server.connections import Connections
from api.server.limits import (
    ANONYMOUS_IDLE_S,
    AUTHENTICATED_IDLE_S,
    BODY_S,
    HEAD_S,
    LINGER_BYTES,
    LINGER_S,
    MAX_PIPELINED,
    PARSED_BYTES,
    UNREAD_S,
)
from api.server.refusals import RefusalLog
from api.server.request_size import RequestSize
from lvsctl.director.access.unix_socket import peer_of

ABSOLUTE_TARGET = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/?#]*)")
"""Request target in absolute form; its authority replaces the field Host (RFC 9112, 3.2.2)."""
NEVER_S = float("inf")


class Awaited(Enum):
    """What a connection waits for until its deadline."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    CLOSE = auto()


class TooManyPipelined(Exception):
    """The client sends requests without waiting for responses."""


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    The server checks deadlines once a second, which costs less than a timer per request.

    Args:
        config: uvicorn's configuration.
        server_state: uvicorn's state.
        connections: All connections, including this one.
        refusals: Counts refusals.
        source: Source of the connection.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        connections: Connections,
        refusals: RefusalLog,
        source: str,
    ) -> None:
        super().__init__(config, server_state, {AUTHENTICATED: self.authenticated})
        self.source = source
        self._all = connections
        self._refusals = refusals
        self._size = RequestSize()
        self._idle_s = ANONYMOUS_IDLE_S
        self._answering: RequestResponseCycle | None = None
        self._in_body = self._input_ended = self._aborted = False
        self.handshake: asyncio.Task[None] | None = None
        """That of TLS, while it is under way; there is no transport before it is done."""
        self._dropped_bytes = 0
        self._unread_deadline_s = NEVER_S
        self._await(Awaited.REQUEST, HEAD_S)

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start, unless the connection has been evicted already."""
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family == socket.AF_UNIX:
            _, self.app_state[PEER_UID] = peer_of(peer)
        if self._aborted:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop, and abandon the request being handled."""
        self._all.remove(self)
        self._disconnect()
        super().connection_lost(exc)
        # Break reference cycles: the garbage collector rarely visits old objects.
        self.app_state.clear()
        self.pipeline.clear()
        self.scope = self.cycle = self._answering = None  # type: ignore[assignment]

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return self._awaited is Awaited.REQUEST

    def abort(self) -> None:
        """Close the connection; it is removed once its descriptor is free."""
        self._aborted = True
        if self.handshake is not None:
            self.handshake.cancel()
        elif self.transport is not None:
            self.transport.abort()

    def authenticated(self) -> None:
        """Record that the client sent a valid credential."""
        self._idle_s = AUTHENTICATED_IDLE_S
        self._all.authenticated(self)

    # --- input

    def data_received(self, data: bytes) -> None:
        """Parse input, or discard it after a refusal."""
        if self._input_ended:
            self._drop(data)
            return
        try:
            for part in _parts(data):
                self.parser.feed_data(part)
                self._size.fed(part)
        except RequestRefused as refused:
            self._refuse(refused)
        except HttpParserError as error:
            self._cannot_parse(error)
        except HttpParserUpgrade:
            # What follows is in another protocol.
            self._close_after_answers()

    def _drop(self, data: bytes) -> None:
        if self._awaited is Awaited.CLOSE:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > LINGER_BYTES:
                self.abort()

    def on_message_begin(self) -> None:
        """Start a request."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyPipelined
        super().on_message_begin()
        self._size.begin()
        if self._awaited is Awaited.REQUEST:
            self._await(Awaited.HEAD, HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; discard trailer fields, which are not headers (RFC 9110, 6.5.1)."""
        self._size.field(name, value)
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass the request to the app, after those before it."""
        self._size.target(self.url)
        absolute = ABSOLUTE_TARGET.match(self.url)
        if absolute:
            fields = [field for field in self.headers if field[0] != b"host"]
            self.headers[:] = [*fields, (b"host", absolute["authority"])]
        super().on_headers_complete()
        self._in_body = True
        self._all.requested(self)
        self._await(Awaited.BODY, BODY_S)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._size.body(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the app's response."""
        super().on_message_complete()
        self._in_body = False
        if not self.cycle.response_complete:
            self._await(Awaited.ANSWER, NEVER_S)

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing, as any client can cause this."""

    # --- output

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        if self.pipeline and not self.transport.is_closing():
            self._start_asgi_task(*self.pipeline.pop())
            return
        # Even if it is being closed: the client may leave the end of the response unread.
        self._await(Awaited.REQUEST, self._idle_s)
        self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Start the deadline for the client to read."""
        super().pause_writing()
        self._unread_deadline_s = self.loop.time() + UNREAD_S

    def resume_writing(self) -> None:
        """Clear the deadline, as the client has read."""
        super().resume_writing()
        self._unread_deadline_s = NEVER_S

    # --- deadlines

    def _await(self, awaited: Awaited, within_s: float) -> None:
        self._awaited = awaited
        self._deadline_s = self.loop.time() + within_s

    def enforce_deadlines(self, now_s: float) -> None:
        """Close the connection if the client has taken too long."""
        if now_s >= self._unread_deadline_s:
            self._refusals.record("answer not read")
            self.abort()
        elif now_s < self._deadline_s:
            return
        elif self._awaited is Awaited.BODY and self._holds_up_the_client():
            self._await(Awaited.BODY, BODY_S)
        elif self._awaited in {Awaited.HEAD, Awaited.BODY}:
            detail = f"send the head within {HEAD_S:g} s, and then the body within {BODY_S:g} s"
            self._refuse(RequestRefused(TOO_SLOW, detail))
        else:
            self.abort()

    def _holds_up_the_client(self) -> bool:
        return (
            self.flow.read_paused
            or self._answering is not self.cycle
            or self.cycle.waiting_for_100_continue
        )

    # --- refusals

    def _cannot_parse(self, error: HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, TooManyPipelined):
            self._refusals.record("too many pipelined requests")
            self._close_after_answers()
        elif isinstance(cause, RequestRefused):
            self._refuse(cause)
        else:
            self._refuse(RequestRefused(BAD_REQUEST, f"this is not HTTP/1.1: {error}"))

    def _refuse(self, refused: RequestRefused) -> None:
        self._refusals.record(refused.problem_type.title)
        unanswered = self._answering is not None and not self._answering.response_complete
        if not unanswered:
            # If a body is still arriving, its request has already been answered.
            self._respond_and_close(None if self._in_body else problem_response(refused))
        elif not self._in_body:
            self._close_after_answers()
        elif self._answering is not self.cycle or self.cycle.response_started:
            self.abort()
        else:
            self._disconnect()
            self._respond_and_close(problem_response(refused))

    def _close_after_answers(self) -> None:
        self._input_ended = True
        self.cycle.keep_alive = False

    def _disconnect(self) -> None:
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _respond_and_close(self, response: Response | None) -> None:
        self._input_ended = True
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if response is not None:
            headers = [
                *self.server_state.default_headers,
                *response.raw_headers,
                (b"connection", b"close"),
            ]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            head = STATUS_LINE[response.status_code] + lines + b"\r\n"
            self.transport.write(head + bytes(response.body))
        if self.transport.can_write_eof():  # TLS has no half-closed connections
            self.transport.write_eof()
        self._await(Awaited.CLOSE, LINGER_S)


def _parts(data: bytes) -> Iterable[bytes | memoryview]:
    if len(data) <= PARSED_BYTES:
        return (data,)
    view = memoryview(data)
    return (view[begin : begin + PARSED_BYTES] for begin in range(0, len(data), PARSED_BYTES))
