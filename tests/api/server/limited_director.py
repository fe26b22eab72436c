"""A director as a process that may open few files, and what it takes of its host."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.director_process import TOKEN, director_command
from tests.support.process_usage import descriptors, peak_memory_bytes

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


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
        return descriptors(self.process.pid)

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that it has ever had."""
        return peak_memory_bytes(self.process.pid)

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, timeout=30)

    def ask(self, method: str, path: str, document: object = None) -> httpx.Response:
        """Send a request with the token, over a new connection."""
        host, port = self.address
        url = f"http://{host}:{port}{path}"
        return httpx.request(method, url, json=document, headers=HEADERS, timeout=60)

    def ask_locally(self, path: str) -> httpx.Response:
        """Send a GET over the UNIX socket."""
        transport = httpx.HTTPTransport(uds=str(self.log.with_name("s")))
        with httpx.Client(transport=transport, timeout=60) as client:
            return client.get(f"http://localhost{path}")

    def get(self, path: str) -> int:
        """Return the status of a GET."""
        return self.ask("GET", path).status_code


@contextmanager
def running(folder: Path, most_descriptors: int, flags: Sequence[str] = ()) -> Iterator[Director]:
    """Run a director that keeps its state, token and log in a folder."""
    log = folder / "log"
    limited = f'ulimit -n {most_descriptors}; exec "$@"'
    command = ["sh", "-c", limited, "sh", *director_command(folder), *flags]
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
