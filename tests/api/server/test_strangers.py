"""A director as a process, and clients that have no token."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

LVSCTL = Path(sys.executable).with_name("lvsctl")
TOKEN = "0123456789abcdef" * 2
DESCRIPTORS = 256
LIMITED = f'ulimit -n {DESCRIPTORS}; exec "$@"'
CHUNKED = b"PUT /v1/farm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = b"x" * 1024 * 1024


@dataclass(frozen=True)
class Director:
    """A running director.

    Attributes:
        process: It.
        address: Where it listens.
        log: What it has logged.
    """

    process: subprocess.Popen[str]
    address: tuple[str, int]
    log: Path

    @property
    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def resident_bytes(self) -> int:
        """How much memory it has ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return 1024 * int(found[1])

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, timeout=30)

    def get(self, path: str) -> int:
        """Ask with the token, over a new connection, and return the status."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        host, port = self.address
        return httpx.get(f"http://{host}:{port}{path}", headers=headers, timeout=30).status_code


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Director]:
    """Run a director that has few descriptors, once, as it must outlive everything here."""
    with running(tmp_path_factory.mktemp("director")) as director:
        yield director


@contextmanager
def running(folder: Path) -> Iterator[Director]:
    token, log = folder / "token", folder / "log"
    token.write_text(TOKEN)
    token.chmod(0o600)
    options = {"ipvs": "memory", "listen": "127.0.0.1:0", "state-dir": folder, "token-file": token}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = ["sh", "-c", LIMITED, "sh", str(LVSCTL), "director", "run", *flags]
    with (
        log.open("w") as errors,
        log.open() as lines,
        subprocess.Popen(command, stderr=errors, text=True) as process,
    ):
        try:
            yield Director(process, listening(process, lines), log)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait()
    assert 0 == status


def listening(process: subprocess.Popen[str], lines: Iterator[str]) -> tuple[str, int]:
    """Wait until the director says where it listens."""
    while process.poll() is None:
        for line in lines:
            logged = json.loads(line)
            if "listen" in logged:
                host, port = logged["listen"]
                return host, port
    raise AssertionError("the director ended")


def test_connections_that_ask_nothing_shut_out_nobody(director: Director) -> None:
    """Good requests are answered all the while; descriptors stay free, and the log short."""
    with ExitStack() as stack:
        for count in range(3 * DESCRIPTORS):
            stack.enter_context(director.connect())
            if count % 64 == 0:
                assert 200 == director.get("/v1/farm")
        assert 200 == director.get("/v1/farm")
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
    resident_bytes = director.resident_bytes
    for _ in range(4):
        with director.connect() as client, suppress(ConnectionError):
            client.sendall(before)
            for _ in range(64):
                client.sendall(endless)
            pytest.fail("64 MiB were taken")
    assert 200 == director.get("/v1/farm")
    assert director.resident_bytes - resident_bytes < 20 * len(MEBIBYTE)
