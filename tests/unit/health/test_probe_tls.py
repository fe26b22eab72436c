"""TLS probes of real servers on loopback, with valid and invalid certificates."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lvsctl.farm.checks import HttpRequest, TlsOptions, TlsRequest
from lvsctl.health.outcome import Outcome, Passed
from lvsctl.health.probes import http, tls
from tests.unit.health.servers import (
    Answer,
    drip_handshake,
    flood_handshake,
    hang_up,
    never,
    reset,
    saying,
    serving,
    target,
)
from tests.unit.health.test_probe_tcp_http import LONG_S, SHORT_S, reason

NAME = "web.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"
VERIFIED = TlsOptions(NAME, verify=True)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An authority, the only one that the host trusts."""
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    tls.context.cache_clear()
    yield
    tls.context.cache_clear()


def server_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def outcome_of(
    request: TlsRequest | HttpRequest,
    context: ssl.SSLContext | None,
    answer: Answer = never,
    timeout_s: float = LONG_S,
) -> Outcome:
    """Probe a server."""

    async def probe() -> Outcome:
        async with serving(answer, context) as port:
            if isinstance(request, TlsRequest):
                return await tls.probe(request, target(port), timeout_s)
            return await http.probe(request, target(port), timeout_s)

    return asyncio.run(probe())


def test_a_valid_certificate_passes(authority: trustme.CA) -> None:
    """For the configured name."""
    good = server_of(authority.issue_cert(NAME))
    assert isinstance(outcome_of(TlsRequest(VERIFIED), good), Passed)


def test_the_name_is_sent(authority: trustme.CA) -> None:
    """As SNI, with or without verification."""
    heard: list[str | None] = []
    context = server_of(authority.issue_cert(NAME))
    context.sni_callback = lambda _, name, __: heard.append(name)
    for options in VERIFIED, TlsOptions("other.example"), TlsOptions():
        assert isinstance(outcome_of(TlsRequest(options), context), Passed)
    assert [NAME, "other.example", None] == heard


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            "name",
            "invalid certificate: Hostname mismatch, certificate is not valid for 'web.example'.",
        ),
        ("authority", "invalid certificate: unable to get local issuer certificate"),
        ("date", "invalid certificate: certificate has expired"),
    ],
)
def test_an_invalid_certificate_fails_if_verified(
    authority: trustme.CA, wrong: str, expected: str
) -> None:
    """And is ignored if not."""
    match wrong:
        case "name":
            certificate = authority.issue_cert("other.example")
        case "authority":
            certificate = trustme.CA().issue_cert(NAME)
        case _:
            past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
            certificate = authority.issue_cert(NAME, not_after=past)
    context = server_of(certificate)
    assert f"127.0.0.1:PORT: {expected}" == reason(outcome_of(TlsRequest(VERIFIED), context))
    assert isinstance(outcome_of(TlsRequest(), context), Passed)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (hang_up, "127.0.0.1:PORT closed the connection during the TLS handshake"),
        (reset, "127.0.0.1:PORT reset the connection, waiting for its TLS handshake"),
        (never, "127.0.0.1:PORT: timed out after 0.2 s, waiting for its TLS handshake"),
        (drip_handshake, "127.0.0.1:PORT: timed out after 0.2 s, waiting for its TLS handshake"),
    ],
)
def test_a_server_that_does_not_complete_the_handshake_fails(answer: Answer, expected: str) -> None:
    """Because it closes, resets, is silent or never finishes."""
    assert expected == reason(outcome_of(TlsRequest(), None, answer, SHORT_S))


def test_a_server_that_speaks_another_protocol_fails() -> None:
    """Plain HTTP on the HTTPS port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    failed = reason(outcome_of(TlsRequest(), None, answer))
    assert failed.startswith("127.0.0.1:PORT: TLS handshake failed: "), failed


def test_an_endless_handshake_fails() -> None:
    """A flood of records is cut off, even if each is valid."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        while True:
            writer.write(b"\x16\x03\x03\x40\x00" + b"\x02\x00\xff\xff" + bytes(0x3FFC))
            await writer.drain()

    assert reason(outcome_of(TlsRequest(), None, answer))
    too_large = "127.0.0.1:PORT: the answer is larger than 1048576 bytes"
    assert too_large == reason(outcome_of(TlsRequest(), None, flood_handshake))


def test_https_is_http_over_tls(authority: trustme.CA) -> None:
    """With all expectations of the answer."""
    context = server_of(authority.issue_cert(NAME))
    asked = HttpRequest(host=NAME, body="fine", tls=VERIFIED)
    assert isinstance(outcome_of(asked, context, saying(OK)), Passed)
    late = saying(b"HTTP/1.1 200 OK\r\n\r\nfi", b"ne")
    assert isinstance(outcome_of(asked, context, late), Passed)
    assert "127.0.0.1:PORT: 'fine' not found in the body (3 bytes)" == reason(
        outcome_of(asked, context, saying(OK.replace(b"5", b"3")))
    )


def test_https_verifies_before_it_sends_the_request(authority: trustme.CA) -> None:
    """So it never reaches an impostor."""
    context = server_of(authority.issue_cert("other.example"))
    asked = HttpRequest(tls=VERIFIED)
    assert reason(outcome_of(asked, context, saying(OK))).startswith(
        "127.0.0.1:PORT: invalid certificate: Hostname mismatch"
    )
