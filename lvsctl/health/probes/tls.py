"""TLS over a probe's connection, and the TLS probe."""

import functools
import ssl
from collections.abc import Callable
from typing import TypeVar

from lvsctl.farm.checks import TlsOptions, TlsRequest
from lvsctl.health.outcome import Outcome
from lvsctl.health.probes.attempt import Attempt, WrongAnswer, outcome_of
from lvsctl.health.probes.sockets import Connection, connected
from lvsctl.health.target import Target
from lvsctl.reasons import probes as reasons

T = TypeVar("T")
_READ = 16384  # a record's largest content (RFC 8446, 5.1)


async def probe(request: TlsRequest, target: Target, timeout_s: float) -> Outcome:
    """Complete a TLS handshake with a server."""

    async def ask(attempt: Attempt) -> None:
        async with connected(attempt) as connection:
            await shake_hands(connection, request.tls, attempt)

    return await outcome_of(ask, target, timeout_s)


class TlsConnection:
    """TLS over a connection."""

    def __init__(self, plain: Connection, options: TlsOptions, attempt: Attempt) -> None:
        self._plain = plain
        self._attempt = attempt
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context(verify=options.verify).wrap_bio(
            self._incoming, self._outgoing, server_hostname=options.server_name
        )

    async def shake_hands(self) -> None:
        """Do the handshake, verifying the certificate if configured; raises SSLError."""
        await self._do(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._do(self._tls.write, data)

    async def receive(self) -> bytes:
        """Return the next bytes; empty at the end of the stream."""
        try:
            return await self._do(self._tls.read, _READ)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise WrongAnswer(
                reasons.TLS_ERROR(self._attempt.where, error=_words(error))
            ) from error

    async def _do(self, step: Callable[..., T], *args: object) -> T:
        """Repeat a TLS operation until it completes, sending and receiving what it needs."""
        while True:
            try:
                done = step(*args)
            except ssl.SSLWantReadError:
                await self._flush()
                received = await self._plain.receive()
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._plain.send(self._outgoing.read())


async def shake_hands(plain: Connection, options: TlsOptions, attempt: Attempt) -> TlsConnection:
    """Start TLS on a connection.

    Raises:
        WrongAnswer: The handshake failed, or the certificate is not valid.
    """
    attempt.awaits = "its TLS handshake"
    secured = TlsConnection(plain, options, attempt)
    try:
        await secured.shake_hands()
    except ssl.SSLCertVerificationError as error:
        raise WrongAnswer(
            reasons.BAD_CERTIFICATE(attempt.where, error=error.verify_message)
        ) from error
    except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
        raise WrongAnswer(reasons.TLS_CLOSED(attempt.where)) from error
    except ssl.SSLError as error:
        raise WrongAnswer(reasons.TLS_FAILED(attempt.where, error=_words(error))) from error
    attempt.awaits = "an answer"
    return secured


@functools.cache
def context(*, verify: bool) -> ssl.SSLContext:
    """Return the context shared by all probes that verify, or by all that do not.

    Loading the host's certification authorities takes some 20 ms.
    """
    if verify:
        return ssl.create_default_context()
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    accepting.check_hostname = False
    accepting.verify_mode = ssl.CERT_NONE
    return accepting


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
