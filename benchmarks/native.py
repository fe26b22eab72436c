"""The part of ``make bench`` that runs outside the lab, with a table in memory."""

import contextlib
import http.client
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.farms import LARGE, Size, document
from benchmarks.samples import LVSCTL, Recorder

WITHIN_S = 120.0
_POLL_S = 0.005
HUGE = Size("huge", 2000, 100_000)


class Director:
    """The installed command, listening on loopback."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._token = secrets.token_hex(32)
        self._token_file = state / "token"
        self._token_file.touch(0o600)
        self._token_file.write_text(self._token)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]

    @contextlib.contextmanager
    def running(self) -> Iterator[float]:
        """Run it; yield the seconds from exec until it was ready."""
        command = [str(Path(sys.executable).with_name("lvsctl")), "director", "run"]
        command += ["--listen", f"127.0.0.1:{self._port}", "--ipvs", "memory"]
        command += ["--state-dir", str(self._state), "--token-file", str(self._token_file)]
        command += ["--shared-token-until", "2100-01-01"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not self._is_ready():
                if process.poll() is not None or time.perf_counter() - began > WITHIN_S:
                    raise SystemExit("the director did not become ready")
                time.sleep(_POLL_S)
            yield time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN_S)

    def _is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def request(self, method: str, path: str, content: bytes | None = None) -> tuple[int, float]:
        """Send a request; return the status and the duration in seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WITHIN_S)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        began = time.perf_counter()
        with contextlib.closing(connection):
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.perf_counter() - began


def measure(recorder: Recorder) -> None:
    """Measure a restart with a large farm, and a farm of 100,000 servers."""
    folder = Path(tempfile.mkdtemp())
    try:
        director = Director(folder)
        with director.running():
            body = json.dumps(document(LARGE)).encode()
            status, _ = director.request("PUT", "/v1/farm?wait=60", body)
            if status >= http.HTTPStatus.MULTIPLE_CHOICES:
                raise SystemExit(f"the farm was refused: {status}")
        with director.running() as ready_s:
            recorder.add("exec", LARGE.name, LVSCTL, ready_s)
            body = json.dumps(document(HUGE)).encode()
            status, took_s = director.request("PUT", "/v1/farm?wait=60&force=true", body)
            if status < http.HTTPStatus.MULTIPLE_CHOICES:
                recorder.add("huge", HUGE.name, LVSCTL, took_s)
    finally:
        shutil.rmtree(folder)
