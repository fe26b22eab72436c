"""Faults of this host are inconclusive; and sockets are bound as requested."""

import asyncio
import contextlib
import functools
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from ipaddress import ip_address

import pytest

from lvsctl.farm.checks import HttpRequest, Request, TcpRequest, UdpRequest
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.probes.attempt import Attempt, outcome_of
from lvsctl.health.probes.kinds import Probes
from lvsctl.health.target import Target
from lvsctl.reasons.probes import BUSY, TIMED_OUT
from tests.unit.health.servers import answering, saying, serving
from tests.unit.virtual_time import run, stall

PROBES = Probes()
LOOPBACK = ip_address("127.0.0.1")
ANYWHERE = Target(LOOPBACK, 9)
UNPRIVILEGED = 65534


@contextlib.contextmanager
def _nothing(_: int) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _no_descriptors(_: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def _no_privileges(_: int) -> Iterator[None]:
    before = os.geteuid()
    if before == 0:
        os.seteuid(UNPRIVILEGED)
    try:
        yield
    finally:
        os.seteuid(before)


@contextlib.contextmanager
def _port_taken(port: int) -> Iterator[None]:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        for taken in stream, datagram:
            taken.bind(("127.0.0.1", port))
        stream.listen()
        yield


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize("request_", [TcpRequest(), HttpRequest(), UdpRequest(b"x")], ids=type)
@pytest.mark.parametrize(
    ("target", "condition", "expected"),
    [
        pytest.param(
            ANYWHERE,
            _no_descriptors,
            "cannot open a socket for a probe: Too many open files",
            id="EMFILE",
        ),
        pytest.param(
            Target(LOOPBACK, 9, mark=7),
            _no_privileges,
            "cannot set mark 7 on a probe's socket: Operation not permitted",
            id="EPERM",
        ),
        pytest.param(
            Target(LOOPBACK, 9, source=ip_address("198.51.100.77")),
            _nothing,
            "cannot bind a probe to 198.51.100.77 port any: Cannot assign requested address",
            id="EADDRNOTAVAIL",
        ),
        pytest.param(
            Target(LOOPBACK, 9, source=LOOPBACK, source_port=_free_port()),
            _port_taken,
            "cannot bind a probe to 127.0.0.1 port {port}: Address already in use",
            id="EADDRINUSE",
        ),
        pytest.param(
            Target(ip_address("192.0.2.1"), 9, source=LOOPBACK),
            _nothing,
            "cannot probe 192.0.2.1:9: Invalid argument",
            id="no way from there",
        ),
    ],
)
def test_a_fault_of_this_host_is_inconclusive(
    request_: Request,
    target: Target,
    condition: Callable[[int], AbstractContextManager[None]],
    expected: str,
) -> None:
    """With the fault as the reason."""

    async def probe() -> Outcome:
        with condition(target.source_port or 0):
            return await PROBES.probe(request_, target, 20.0)

    outcome = asyncio.run(probe())
    assert isinstance(outcome, Inconclusive)
    assert expected.format(port=target.source_port) == str(outcome.reason)


def test_a_timeout_on_a_busy_host_is_inconclusive() -> None:
    """An answer may have arrived while the event loop was blocked."""

    async def ask(_: Attempt) -> None:
        stall(1.5)
        await asyncio.sleep(10)

    expected = Inconclusive(BUSY(timeout_s=1.0, took_s=1.5))
    assert expected == run(outcome_of(ask, ANYWHERE, 1.0))


def test_a_timeout_names_what_was_awaited() -> None:
    """The last step of the probe, and whether anything had been received."""

    async def ask(attempt: Attempt, *, heard: bool) -> None:
        attempt.awaits = "Godot"
        attempt.heard = heard
        await asyncio.sleep(10)

    reason = TIMED_OUT("127.0.0.1:9", timeout_s=1.0, awaited="Godot")
    for heard in (False, True):
        outcome = run(outcome_of(functools.partial(ask, heard=heard), ANYWHERE, 1.0))
        assert ProbeFailed(reason, 1.0, silent=not heard) == outcome


def test_judging_the_answer_does_not_count_as_the_servers_time() -> None:
    """However long this host takes for it."""

    async def ask(attempt: Attempt) -> None:
        await asyncio.sleep(0.5)
        attempt.stop_the_clock()
        await asyncio.sleep(10)

    assert Passed(0.5) == run(outcome_of(ask, ANYWHERE, 1.0))


def test_a_tcp_probe_is_bound_to_its_source() -> None:
    """The port can be reused at once, even if the server has not closed yet."""
    port = _free_port()
    sources = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sources.append(writer.get_extra_info("peername"))
        await saying(b"HTTP/1.1 200 OK\r\n\r\n")(reader, writer)

    async def probe() -> list[Outcome]:
        async with serving(answer) as at:
            target = Target(LOOPBACK, at, ip_address("127.0.0.2"), port)
            return [await PROBES.probe(HttpRequest(), target, 20.0) for _ in range(10)]

    assert all(isinstance(outcome, Passed) for outcome in asyncio.run(probe()))
    assert {("127.0.0.2", port)} == set(sources)


def test_a_udp_probe_is_bound_to_its_source() -> None:
    """Two concurrent probes of different servers can share a source."""
    port = _free_port()

    async def probe() -> list[Outcome]:
        async with answering(lambda _: [b"1"]) as one, answering(lambda _: [b"2"]) as two:
            return await asyncio.gather(
                *(
                    PROBES.probe(UdpRequest(b"x", said), Target(LOOPBACK, at, LOOPBACK, port), 20.0)
                    for at, said in ((one, b"1"), (two, b"2"))
                )
            )

    assert all(isinstance(outcome, Passed) for outcome in asyncio.run(probe()))
