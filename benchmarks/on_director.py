"""Measures a director in the lab: from REST requests to the kernel, reads, idle load, restart."""

import contextlib
import http.client
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.farms import WEIGHT, Size, document, table
from benchmarks.on_others import WITHIN_S, idle_percent, wait_for_table
from benchmarks.samples import LVSCTL, Recorder
from deploy.lab.daemons import FarmDaemons
from deploy.lab.network import Network
from deploy.lab.process import NodeProcess
from deploy.lab.topology import farm_topology
from lvsctl.ipvs.netlink import NetlinkIpvs

PATCHES = 20
PING_EVERY_S = 0.05
READS = {"metrics": "/metrics", "table": "/v1/table", "plan": "/v1/plan"}


class Client:
    """A persistent connection from the director's host to the director."""

    def __init__(self, daemons: FarmDaemons) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(daemons.url).netloc, timeout=600)
        self._headers = {
            "Authorization": f"Bearer {daemons.token}",
            "Content-Type": "application/json",
        }
        with daemons.network[daemons.director_on].enter():
            self._connection.connect()

    def request(self, method: str, path: str, content: bytes | None = None) -> float:
        """Send a request, read the whole response, and return the duration in seconds."""
        began = time.perf_counter()
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took_s = time.perf_counter() - began
        if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            raise SystemExit(f"{method} {path}: {answer.status} {body[:500]!r}")
        return took_s


@contextlib.contextmanager
def running_director() -> Iterator[tuple[FarmDaemons, NodeProcess]]:
    """Start a director in its own network."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with Network(farm_topology(real_servers=0), state / "logs") as network:
            daemons = FarmDaemons(network, state / "state")
            yield daemons, daemons.start_director()


def measure(size: Size, recorder: Recorder, idle_s: float) -> None:
    """Measure a director from its empty farm to its restart."""

    def add(case: str, value: float) -> None:
        recorder.add(case, size.name, LVSCTL, value)

    with running_director() as (daemons, director):
        complete_s, answered_s = _put(daemons, size)
        add("put", complete_s)
        add("put-answered", answered_s)
        client = Client(daemons)
        patches_ms = _patch_weights(client, size)
        add("patch", median(patches_ms))
        add("patch-worst", max(patches_ms))
        for case, path in READS.items():
            add(case, client.request("GET", path))
        add("idle", idle_percent([director.pid], idle_s))
        director.kill()
        began = time.perf_counter()
        daemons.start_director()
        add("restart", time.perf_counter() - began)


def _put(daemons: FarmDaemons, size: Size) -> tuple[float, float]:
    """PUT the farm; return the seconds until the table was complete, and until the response."""
    body = json.dumps(document(size)).encode()
    times = daemons.state / "times"

    def send() -> None:
        client = Client(daemons)
        client.request("GET", "/healthz")
        began = time.perf_counter()  # CLOCK_MONOTONIC is the same in all processes
        client.request("PUT", "/v1/farm?wait=60", body)
        times.write_text(f"{began} {time.perf_counter()}")

    node = daemons.network[daemons.director_on]
    with node.enter():
        ipvs = NetlinkIpvs()
    with contextlib.closing(ipvs):
        sender = node.fork(send, "client")
        complete = wait_for_table(ipvs, table(size))
    if sender.wait(WITHIN_S):
        raise SystemExit(sender.tail())
    began, answered = map(float, times.read_text().split())
    return complete - began, answered - began


def _patch_weights(client: Client, size: Size) -> Sequence[float]:
    """Change weights one after the other; return the milliseconds until each was applied."""
    body = json.dumps({"weight": WEIGHT + 1}).encode()
    return [
        1000
        * client.request("PATCH", f"/v1/pools/p{number}/real-servers/rs{servers[0]}?wait=60", body)
        for number, _, servers in islice(size.keys(), PATCHES)
    ]


def measure_small_requests(size: Size, recorder: Recorder, seconds: float) -> None:
    """Measure a small GET, sent 20 times a second, while the director handles large requests."""
    farms = [json.dumps(document(size, weight)).encode() for weight in (WEIGHT, WEIGHT + 1)]
    loads = {
        "ping-put": [("PUT", "/v1/farm?wait=60", farm) for farm in farms],
        **{f"ping-{case}": [("GET", path, None)] for case, path in READS.items()},
    }
    with running_director() as (daemons, _):
        load = Client(daemons)
        for case, requests in loads.items():
            with _pinged(daemons, case) as latencies:
                ends = time.monotonic() + seconds
                while time.monotonic() < ends:
                    for request in requests:
                        load.request(*request)
            took_ms = sorted(map(float, latencies.read_text().split()))
            recorder.add(case, size.name, LVSCTL, took_ms[len(took_ms) * 99 // 100])
            recorder.add(f"{case}-worst", size.name, LVSCTL, took_ms[-1])


@contextlib.contextmanager
def _pinged(daemons: FarmDaemons, name: str) -> Iterator[Path]:
    """Send small requests during the block; afterwards the file has the milliseconds of each."""
    stop, latencies = daemons.state / f"{name}.stop", daemons.state / f"{name}.ms"

    def ping() -> None:
        client = Client(daemons)
        with latencies.open("w") as lines:
            while not stop.exists():
                took_s = client.request("GET", "/healthz")
                lines.write(f"{took_s * 1000}\n")
                time.sleep(max(0.0, PING_EVERY_S - took_s))

    pinger = daemons.network[daemons.director_on].fork(ping, name)
    yield latencies
    stop.touch()
    if pinger.wait(WITHIN_S):
        raise SystemExit(pinger.tail())
