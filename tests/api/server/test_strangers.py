"""A director as a process, and clients that have no token."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.api.server.limited_director import Director, running

DESCRIPTORS = 256
CHUNKED = b"PUT /v1/farm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = b"x" * 1024 * 1024


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Director]:
    """Run a director that has few descriptors, once, as it must outlive everything here."""
    with running(tmp_path_factory.mktemp("director"), DESCRIPTORS) as director:
        yield director


def test_connections_that_ask_nothing_shut_out_nobody(director: Director) -> None:
    """Good requests are answered all the while; descriptors stay free, and the log short."""
    with ExitStack() as stack:
        for count in range(3 * DESCRIPTORS):
            stack.enter_context(director.connect())
            if count % 64 == 0:
                assert 200 == director.get("/v1/farm")
        assert 200 == director.get("/v1/farm")
        assert 200 == director.ask_locally("/v1/farm").status_code
        assert director.descriptors < DESCRIPTORS * 3 // 4
    assert len(director.log.read_text().splitlines()) < 10


@pytest.mark.parametrize(
    ("before", "endless"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: ", MEBIBYTE),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"A: 1\r\n" * 170_000),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"A: 1\r\n" * 170_000),
        (CHUNKED + b"1\r\nx\r\n0\r\nA: ", MEBIBYTE),
        (CHUNKED + b"1;a=", MEBIBYTE),
        (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 25_000),
    ],
    ids=["a field", "fields", "trailers", "a trailer", "an extension", "pipelined requests"],
)
def test_requests_without_end_take_no_memory(
    director: Director, before: bytes, endless: bytes
) -> None:
    """What does not end is cut off, and a good request is answered."""
    assert 200 == director.get("/v1/farm")
    peak_memory_bytes = director.peak_memory_bytes
    for _ in range(4):
        with director.connect() as client, suppress(ConnectionError):
            client.sendall(before)
            for _ in range(64):
                client.sendall(endless)
            pytest.fail("64 MiB were taken")
    assert 200 == director.get("/v1/farm")
    assert director.peak_memory_bytes - peak_memory_bytes < 20 * len(MEBIBYTE)
