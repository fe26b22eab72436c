"""The part of ``make bench`` that runs outside the lab, with a table in memory."""

import contextlib
import http.client
import json
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from benchmarks.farms import FIRST_RIP, HUGE, LARGE, WEIGHT, Size, document
from benchmarks.samples import LVSCTL, Recorder
from lvsctl.director.main import utc_now
from lvsctl.director.write.committer import Committer, EditContext
from lvsctl.director.write.edits import PutRealServer
from lvsctl.farm.model import RealServer
from lvsctl.store.sqlite import SqliteStore

WITHIN_S = 120.0
_POLL_S = 0.005
HISTORY = 9_999
"""Commits after that of the farm: as many as a director keeps."""


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
        self._pid = process.pid
        try:
            while not self._is_ready():
                if process.poll() is not None or time.perf_counter() - began > WITHIN_S:
                    raise SystemExit("the director did not become ready")
                time.sleep(_POLL_S)
            yield time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN_S)

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has had so far."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def put(self, farm: Mapping[str, object]) -> float:
        """Replace the farm and wait until it is applied; return the duration in seconds."""
        body = json.dumps(farm).encode()
        status, took_s = self.request("PUT", "/v1/farm?wait=60&force=true", body)
        if status >= http.HTTPStatus.MULTIPLE_CHOICES:
            raise SystemExit(f"the farm was refused: {status}")
        return took_s

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


def measure(recorder: Recorder, rounds: int) -> None:
    """Measure restarts with a large farm and a long history, and a farm of 100,000 servers."""
    with tempfile.TemporaryDirectory() as folder:
        standing = Path(folder)
        director = Director(standing)
        with director.running():
            director.put(document(LARGE))
        _add_history(standing, LARGE)
        with director.running():  # applies it, so that the next one finds nothing to do
            pass
        for _ in range(rounds):
            _restart(director, standing, recorder)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            _put_huge(Director(Path(folder)), recorder)


def _add_history(state: Path, size: Size) -> None:
    """Make the history of the farm in a state folder as long as a director keeps it."""
    servers = [
        (f"p{number}", RealServer(f"rs{numbers[0]}", FIRST_RIP + numbers[0]))
        for number, _, numbers in size.keys()  # noqa: SIM118 - no mapping
    ]
    with contextlib.closing(SqliteStore(state / "farm.db", utc_now)) as store:
        commits = Committer(store)
        for revision, (pool, server) in zip(range(HISTORY), cycle(servers), strict=False):
            changed = replace(server, weight=WEIGHT + 1 + revision // len(servers))
            commits.commit(PutRealServer(pool, changed), {}, "benchmark", EditContext())


def _restart(director: Director, state: Path, recorder: Recorder) -> None:
    before = _rows(state)
    with director.running() as ready_s:
        recorder.add("exec", LARGE.name, LVSCTL, ready_s)
    recorder.add("exec-written", LARGE.name, LVSCTL, len(before ^ _rows(state)))


def _rows(state: Path) -> set[tuple[object, ...]]:
    """Return the rows of the farm's store and of the director's own state."""
    found = set[tuple[object, ...]]()
    for name in ("farm.db", "local.db"):
        with contextlib.closing(sqlite3.connect(state / name)) as database:
            tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - its own name
                found.update((name, table, *row) for row in rows)
    return found


def _put_huge(director: Director, recorder: Recorder) -> None:
    with director.running():
        recorder.add("huge", HUGE.name, LVSCTL, director.put(document(HUGE)))
        recorder.add("huge-memory", HUGE.name, LVSCTL, director.peak_bytes / 1e6)
