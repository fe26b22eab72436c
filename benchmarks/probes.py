"""Whether 2,000 health checks every 2 s keep their schedule, and what processor time they take.

Run it: ``python -m benchmarks.probes [--kind http] [--checks 2000] [--dead 0] [--seconds 30]``.
The servers are other processes on loopback; what is measured is this process: one event loop that
does nothing else, with the director's settings of the interpreter. Dead servers are behind a
listener that neither takes nor refuses a connection.
"""

import argparse
import asyncio
import contextlib
import gc
import multiprocessing
import random
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path

from lvsctl.director.interpreter import favour_the_event_loop
from lvsctl.health.check import HealthCheck, HttpRequest, Request, TcpRequest, Through, UdpRequest
from lvsctl.health.outcome import Passed
from lvsctl.health.prober import Prober, Report
from lvsctl.health.probes.exec import ExecProbes
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.target import Planned, ProbeId, Target, TargetId
from lvsctl.health.verdict import Verdict, judge, unchecked

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n"
REQUESTS: dict[str, Request] = {
    "tcp": TcpRequest(),
    "http": HttpRequest(path="/healthz", body="^ok$"),
    "udp": UdpRequest(b"ping", b"ping"),
}
LOOPBACK = IPv4Address("127.0.0.1")
SETTLED_S = 6.0
"""Not measured: the first pass of each, and what follows from all beginning at once."""


class _Web(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self._transport.sendto(data, source)  # type: ignore[attr-defined]


def _serve(port: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Web, str(LOOPBACK), 0, backlog=4096)
        at = server.sockets[0].getsockname()[1]
        await loop.create_datagram_endpoint(_Echo, (str(LOOPBACK), at))
        port.send(at)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@contextlib.contextmanager
def servers() -> Iterator[int]:
    """Serve HTTP and UDP on loopback; give the port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """Give a port at which connections are neither taken nor refused."""
    with socket.socket() as listener, socket.socket() as waiting:
        listener.bind((str(LOOPBACK), 0))
        listener.listen(0)
        waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@dataclass
class Measured:
    """What the reports said.

    Attributes:
        late_s: Of each probe, how late it began.
        took_s: Of each that passed, how long it took.
        outcomes: How many of each kind.
        verdicts: As they stand.
    """

    late_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: dict[ProbeId, Verdict] = field(default_factory=dict)

    def report(self, report: Report) -> Verdict:
        """Judge, as the director does."""
        now = datetime.now(UTC)
        before = self.verdicts.get(report.planned.id) or unchecked(now)
        self.verdicts[report.planned.id] = judge(before, report.outcome, report.planned.check, now)
        self.late_s.append(report.late_s)
        self.outcomes[type(report.outcome).__name__] += 1
        if isinstance(report.outcome, Passed):
            self.took_s.append(report.outcome.took_s)
        return self.verdicts[report.planned.id]

    def forget(self) -> None:
        """Begin to measure; the verdicts stay."""
        self.late_s.clear()
        self.took_s.clear()
        self.outcomes.clear()


def planned(request: Request, checks: int, dead: int, port: int, dead_port: int) -> list[Planned]:
    """Return checks of as many servers, of which the first are dead."""
    check = HealthCheck(request, through=Through.DIRECT, interval_s=2.0, timeout_s=1.0)
    vip = IPv4Address("198.51.100.10")
    plan = []
    for number in range(checks):
        # Told apart by where they are asked from: a UDP server answers from one address only.
        source = IPv4Address("127.1.0.1") + number
        target = Target(LOOPBACK, dead_port if number < dead else port, source)
        id_ = TargetId("web", f"rs{number}", vip)
        plan.append(Planned(ProbeId.of(id_, check, target.port), check, target))
    return plan


def queued_s() -> float:
    """Return how long this process was ready to run and had no processor (proc_pid_schedstat)."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


async def measure(plan: list[Planned], seconds: float) -> tuple[Measured, float, float]:
    """Probe for a time.

    Returns:
        What was reported; of the time, the share in which this process ran, and the share in
        which it wanted to and others did.
    """
    measured = Measured()
    probes = Probes(ExecProbes(None, None, None))
    random_ = random.Random(1).random  # noqa: S311 - spreads, hides nothing
    prober = Prober(probes.probe, measured.report, random_)
    prober.watch("web", plan)
    await asyncio.sleep(SETTLED_S)
    measured.forget()
    began_s, cpu_s, waited_s = time.monotonic(), time.process_time(), queued_s()
    await asyncio.sleep(seconds)
    passed_s = time.monotonic() - began_s
    ran, waited = (time.process_time() - cpu_s) / passed_s, (queued_s() - waited_s) / passed_s
    await prober.stop()
    return measured, ran, waited


def percentile_ms(values: list[float], share: float) -> float:
    """Return what this share of the values does not exceed, in milliseconds."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


def main() -> None:
    """Measure, and print one line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=REQUESTS, action="append")
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--dead", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for kind in options.kind or REQUESTS:
        gc.unfreeze()
        with servers() as port, nobody() as dead_port:
            plan = planned(REQUESTS[kind], options.checks, options.dead, port, dead_port)
            favour_the_event_loop()
            measured, ran, waited = asyncio.run(measure(plan, options.seconds))
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
