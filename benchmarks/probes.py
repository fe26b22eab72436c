"""Measures whether 2,000 health checks every 2 s keep their schedule, and their processor time.

Run it: ``python -m benchmarks.probes [--kind http] [--checks 2000] [--dead 0] [--seconds 30]``.
The servers are loopback addresses of another process. Measured is this process: the director's
health checks, from farm to verdicts, alone on an event loop, with the director's interpreter
settings. Probes are direct, so that no IPVS is needed. Dead servers are behind a listener that
neither accepts nor refuses connections.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import multiprocessing
import random
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from lvsctl.director.checks.announcer import Announcer
from lvsctl.director.checks.health_checks import HealthChecks
from lvsctl.director.checks.verdicts import Verdicts
from lvsctl.director.interpreter import favour_the_event_loop
from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.state import State
from lvsctl.farm.checks import HealthCheck, HttpRequest, Request, TcpRequest, Through
from lvsctl.farm.model import Farm, Pool, RealServer, Service
from lvsctl.farm.status import Status
from lvsctl.health.outcome import Outcome, Passed
from lvsctl.health.path import TunnelProbe
from lvsctl.health.prober import ProbeResult
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.target import ProbeId
from lvsctl.health.verdict import KeptVerdict

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n"
REQUESTS: dict[str, Request] = {
    "tcp": TcpRequest(),
    "http": HttpRequest(path="/healthz", body="^ok$"),
}
ANYWHERE = IPv4Address("0.0.0.0")  # noqa: S104 - probed at many loopback addresses
SETTLED_S = 6.0
"""Warm-up, not measured: the first probe of each check, all of which start at once."""


class _Web(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


def _serve(port: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Web, str(ANYWHERE), 0, backlog=4096)
        port.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@contextlib.contextmanager
def servers() -> Iterator[int]:
    """Serve HTTP on loopback; yield the port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def unresponsive() -> Iterator[int]:
    """Yield a port at which connections are neither accepted nor refused."""
    with socket.socket() as listener, socket.socket() as waiting:
        listener.bind((str(ANYWHERE), 0))
        listener.listen(0)
        waiting.connect(("127.0.0.1", listener.getsockname()[1]))
        yield listener.getsockname()[1]


@dataclass
class Measured:
    """Results of the probes, in place of the director's statistics.

    Attributes:
        late_s: How late each probe started.
        took_s: Duration of each probe that passed.
        outcomes: Number of outcomes by kind.
    """

    late_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, report: ProbeResult, outcome: Outcome) -> None:
        """Record a probe."""
        self.late_s.append(report.late_s)
        self.outcomes[type(outcome).__name__] += 1
        if isinstance(outcome, Passed):
            self.took_s.append(outcome.took_s)

    def forget(self) -> None:
        """Discard everything recorded so far."""
        self.late_s.clear()
        self.took_s.clear()
        self.outcomes.clear()


def farm(request: Request, checks: int, dead: int, port: int, dead_port: int) -> State:
    """Return a farm with ``checks`` servers, the first ``dead`` of which are dead."""
    servers = tuple(
        RealServer(f"rs{number}", IPv4Address("127.1.0.1") + number) for number in range(checks)
    )
    pools = {
        name: Pool(
            name,
            real_servers=members,
            health_checks=(HealthCheck(request, at, Through.DIRECT, 2.0, timeout_s=1.0),),
        )
        for name, members, at in (
            ("dead", servers[:dead], dead_port),
            ("web", servers[dead:], port),
        )
    }
    services = {
        name: Service(name, IPv4Address("198.51.100.10") + number, name, ports=(80,))
        for number, name in enumerate(pools)
    }
    return State("benchmark", 1, 1, {}, Farm(services, pools), Status())


def queued_s() -> float:
    """Return how long this process was runnable but had no processor (schedstat), in seconds."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


async def keep_nothing(_changes: Mapping[ProbeId, KeptVerdict | None]) -> None:
    """Stand in for the disk."""


async def look_at_nothing(_ways: Sequence[TunnelProbe]) -> Mapping[TunnelProbe, str]:
    """Stand in for the kernel: there are no probes through a tunnel here."""
    return {}


async def measure(state: State, seconds: float) -> tuple[Measured, float, float]:
    """Check a farm's health for a time.

    Returns:
        The results; the share of the time in which this process ran; and the share in which it was
        runnable but others ran.
    """
    measured = Measured()
    verdicts = Verdicts({})
    health = HealthChecks(
        verdicts=verdicts,
        announcer=Announcer(verdicts, keep_nothing, lambda _: None, lambda _: None),
        probe=Probes().probe,
        look=look_at_nothing,
        findings=lambda _: (),
        now=lambda: datetime.now(UTC),
        random=random.Random(1).random,  # noqa: S311 - spreads, hides nothing
    )
    health.statistics = measured  # type: ignore[assignment]
    checking = asyncio.create_task(health.run())
    health.on_cycle(state, Cycle(state.revision, None))
    await asyncio.sleep(SETTLED_S)
    measured.forget()
    began_s, cpu_s, waited_s = time.monotonic(), time.process_time(), queued_s()
    await asyncio.sleep(seconds)
    passed_s = time.monotonic() - began_s
    ran, waited = (time.process_time() - cpu_s) / passed_s, (queued_s() - waited_s) / passed_s
    checking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await checking
    return measured, ran, waited


def percentile_ms(values: list[float], share: float) -> float:
    """Return a percentile of the values, in milliseconds."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


def main() -> None:
    """Measure, and print a line per kind of check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=REQUESTS, action="append")
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--dead", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for kind in options.kind or REQUESTS:
        gc.unfreeze()
        with servers() as port, unresponsive() as dead_port:
            state = farm(REQUESTS[kind], options.checks, options.dead, port, dead_port)
            favour_the_event_loop()
            measured, ran, waited = asyncio.run(measure(state, options.seconds))
        late = " ".join(
            f"{name} {percentile_ms(measured.late_s, at):.1f}"
            for name, at in (("median", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
        )
        each_us = ran * options.seconds / len(measured.late_s) * 1e6
        print(
            f"{kind}: {len(measured.late_s) / options.seconds:.0f} probes/s, "
            f"{dict(measured.outcomes)}; late, ms: {late}; answered after, ms: "
            f"median {percentile_ms(measured.took_s, 0.5):.1f} "
            f"p99 {percentile_ms(measured.took_s, 0.99):.1f}; "
            f"ran {ran:.0%} of the time, {each_us:.0f} µs each; "
            f"others had the processor {waited:.0%} of it"
        )


if __name__ == "__main__":
    main()
