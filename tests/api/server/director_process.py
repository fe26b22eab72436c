"""A director as a process, whose kernel is in memory."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

LVSCTL = Path(sys.executable).with_name("lvsctl")
TOKEN = "0123456789abcdef" * 2
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

    def ask(self, method: str, path: str, document: object = None) -> httpx.Response:
        """Send a request with the token, over a new connection."""
        host, port = self.address
        url = f"http://{host}:{port}{path}"
        return httpx.request(method, url, json=document, headers=HEADERS, timeout=60)

    def ask_locally(self, path: str) -> httpx.Response:
        """Send a GET over the UNIX socket."""
        transport = httpx.HTTPTransport(uds=str(self.log.with_name("director.sock")))
        with httpx.Client(transport=transport, timeout=60) as client:
            return client.get(f"http://localhost{path}")

    def get(self, path: str) -> int:
        """Return the status of a GET."""
        return self.ask("GET", path).status_code


@contextmanager
def running(folder: Path, descriptors: int) -> Iterator[Director]:
    """Run a director that keeps its state, token and log in a folder."""
    token, log = folder / "token", folder / "log"
    token.write_text(TOKEN)
    token.chmod(0o600)
    options = {"ipvs": "memory", "listen": "127.0.0.1:0", "state-dir": folder, "token-file": token}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    limited = f'ulimit -n {descriptors}; exec "$@"'
    command = ["sh", "-c", limited, "sh", str(LVSCTL), "director", "run", *flags]
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
