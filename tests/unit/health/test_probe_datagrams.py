"""UDP and DNS probes of real servers on loopback, and of hostile answers."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from ipaddress import ip_address

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsctl.farm.checks import DnsRequest, RecordType, UdpRequest
from lvsctl.health.outcome import Outcome, Passed
from lvsctl.health.probes import dns as dns_probe
from lvsctl.health.probes import udp
from lvsctl.health.probes.attempt import WrongAnswer
from tests.unit.health.name_servers import Records, name_server, refused, truncated
from tests.unit.health.servers import answering, refusing, target
from tests.unit.health.test_probe_tcp_http import LONG_S, SHORT_S, reason
from tests.unit.virtual_time import run, stall

NAME = "web.example."
A = ip_address("192.0.2.1")
AAAA = ip_address("2001:db8::1")


def outcome_of(
    request: UdpRequest | DnsRequest,
    answer: Callable[[bytes], list[bytes]],
    timeout_s: float = LONG_S,
) -> Outcome:
    """Probe a server."""

    async def probe() -> Outcome:
        async with answering(answer) as port:
            if isinstance(request, UdpRequest):
                return await udp.probe(request, target(port), timeout_s)
            return await dns_probe.probe(request, target(port), timeout_s)

    return asyncio.run(probe())


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        pytest.param(UdpRequest(b"ping"), lambda asked: [asked], id="any answer"),
        pytest.param(UdpRequest(), lambda _: [b"up"], id="nothing said"),
        pytest.param(UdpRequest(b"ping", b"po"), lambda _: [b"pong"], id="what it begins with"),
        pytest.param(UdpRequest(b"x"), lambda _: [bytes(60000)], id="a large answer"),
    ],
)
def test_an_expected_datagram_passes(
    request_: UdpRequest, answer: Callable[[bytes], list[bytes]]
) -> None:
    """If it starts with the expected bytes."""
    assert isinstance(outcome_of(request_, answer), Passed)


def test_an_unexpected_datagram_fails() -> None:
    """The reason quotes it."""
    failed = outcome_of(UdpRequest(b"ping", b"pong"), lambda _: [b"\xffno"])
    assert "127.0.0.1:PORT answered b'\\xffno', which does not begin with b'pong'" == reason(failed)


def test_no_datagram_fails_at_the_timeout() -> None:
    """With UDP, a silent server cannot be told from a dead one."""
    expected = "127.0.0.1:PORT: timed out after 0.2 s, waiting for an answer"
    assert expected == reason(outcome_of(UdpRequest(b"ping"), lambda _: [], SHORT_S))


def test_a_closed_port_fails_at_once() -> None:
    """By the ICMP error of the server's kernel."""

    async def probe() -> Outcome:
        with refusing(socket.SOCK_DGRAM) as port:
            return await udp.probe(UdpRequest(b"ping"), target(port), LONG_S)

    assert "127.0.0.1:PORT refused the datagram" == reason(asyncio.run(probe()))


ALIAS = (NAME, "CNAME", "web1.example.")


@pytest.mark.parametrize(
    ("request_", "records"),
    [
        (DnsRequest(NAME), [(NAME, "A", str(A))]),
        (DnsRequest(NAME, addresses=frozenset({A})), [(NAME, "A", str(A))]),
        (DnsRequest(NAME), [ALIAS, ("web1.example.", "A", str(A))]),
        (DnsRequest(NAME, RecordType.CNAME), [ALIAS]),
        (
            DnsRequest(NAME, RecordType.AAAA, frozenset({AAAA})),
            [(NAME, "AAAA", "2001:db8:0::1"), (NAME, "AAAA", "2001:db8::2")],
        ),
    ],
)
def test_a_correct_name_server_passes(request_: DnsRequest, records: list[Records]) -> None:
    """With a record of the requested type and the required addresses."""
    assert isinstance(outcome_of(request_, name_server(*records)), Passed)


@pytest.mark.parametrize(
    ("request_", "answer", "expected"),
    [
        pytest.param(
            DnsRequest(NAME),
            name_server(change=refused),
            "127.0.0.1:PORT answered REFUSED for web.example.",
            id="refused",
        ),
        pytest.param(
            DnsRequest(NAME),
            name_server(ALIAS),
            "127.0.0.1:PORT has no A record for web.example.",
            id="no record",
        ),
        pytest.param(
            DnsRequest(NAME),
            name_server(change=truncated),
            "127.0.0.1:PORT has no A record for web.example. (its answer is truncated)",
            id="truncated",
        ),
        pytest.param(
            DnsRequest(NAME, addresses=frozenset({A, ip_address("192.0.2.2")})),
            name_server((NAME, "A", str(A))),
            "127.0.0.1:PORT: 192.0.2.2 is not in web.example. A: 192.0.2.1",
            id="wrong address",
        ),
        pytest.param(
            DnsRequest(NAME),
            lambda asked: [asked],
            "127.0.0.1:PORT answered a query other than that for web.example.",
            id="the query itself",
        ),
        pytest.param(
            DnsRequest(NAME),
            lambda asked: [asked[:2] + b"garbage"],
            "127.0.0.1:PORT does not speak DNS: The DNS packet passed to from_wire() is too short.",
            id="garbage",
        ),
    ],
)
def test_a_wrong_answer_of_a_name_server_fails(
    request_: DnsRequest, answer: Callable[[bytes], list[bytes]], expected: str
) -> None:
    """With what was wrong."""
    assert expected == reason(outcome_of(request_, answer))


def test_the_answer_to_an_earlier_query_is_ignored() -> None:
    """It may arrive late, at the same port."""
    good = name_server((NAME, "A", str(A)))

    def answer(asked: bytes) -> list[bytes]:
        earlier = bytes([asked[0] ^ 1]) + asked[1:]
        return [*name_server(change=refused)(earlier), b"x", *good(asked)]

    assert isinstance(outcome_of(DnsRequest(NAME), answer), Passed)


def test_a_silent_name_server_fails_at_the_timeout() -> None:
    """Also one that answers only earlier queries."""
    expected = "127.0.0.1:PORT: timed out after 0.2 s, waiting for an answer"
    failed = outcome_of(DnsRequest(NAME), lambda asked: [asked[::-1]], SHORT_S)
    assert expected == reason(failed)


def test_a_flood_of_other_answers_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if there is always another datagram to read."""

    class Flood:
        def send(self, _: bytes) -> None:
            pass

        async def receive(self) -> bytes:
            stall(0.01)
            return b"x"

    monkeypatch.setattr(dns_probe, "exchange", lambda _: contextlib.nullcontext(Flood()))
    failed = run(dns_probe.probe(DnsRequest(NAME), target(53), 1.0))
    assert "127.0.0.1:PORT: timed out after 1 s, waiting for an answer" == reason(failed)


@given(st.binary(max_size=100), st.integers(0, 60))
@settings(deadline=None)
def test_any_answer_of_a_name_server_is_judged(noise: bytes, at: int) -> None:
    """No answer raises anything but the one error."""
    query = dns.message.make_query(NAME, "A").to_wire()
    [good] = name_server(ALIAS, (NAME, "A", str(A)))(query)
    answer = good[: 2 + at] + noise + good[2 + at + len(noise) :]
    with contextlib.suppress(WrongAnswer):
        dns_probe.judge(DnsRequest(NAME), query, answer, "192.0.2.1:53")


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_are_not_a_dns_answer(noise: bytes) -> None:
    """Even if the identifier matches."""
    query = dns.message.make_query(NAME, "A").to_wire()
    with pytest.raises(WrongAnswer):
        dns_probe.judge(DnsRequest(NAME), query, query[:2] + noise, "192.0.2.1:53")
