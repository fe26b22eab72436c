"""Health checks that a farm may have, and those that it may not."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given

from lvsctl.farm.checks import (
    DnsRequest,
    ExecRequest,
    HealthCheck,
    HttpRequest,
    RecordType,
    Request,
    StatusRange,
    TcpRequest,
    Through,
    TlsOptions,
    TlsRequest,
    UdpRequest,
)
from lvsctl.farm.model import Farm, Pool, RealServer, Service
from lvsctl.farm.policy import HealthPolicy, Quorum, SlowStart
from lvsctl.farm.rules.farm import broken_rules
from lvsctl.farm.rules.health import broken_health_rules
from tests.unit import strategies

VIP = ip_address("198.51.100.10")
WEB = Service("web", VIP, "web", ports=(80, 443))
CHECK = HealthCheck(TcpRequest())


def farm(*checks: HealthCheck, policy: HealthPolicy | None = None) -> Farm:
    pool = Pool("web", health_checks=checks, health_policy=policy or HealthPolicy())
    return Farm({"web": WEB}, {"web": pool})


def refused(of: Farm) -> list[tuple[str, str]]:
    """Return where a farm is refused: the object and the pointer."""
    return [(str(broken), problem.pointer) for broken, problem in broken_health_rules(of)]


def asks(request: Request) -> HealthCheck:
    return HealthCheck(request, port=80)


@pytest.mark.parametrize(
    "check",
    [
        CHECK,
        replace(CHECK, port=1, interval_s=0.1, fast_interval_s=3600.0, timeout_s=60.0, jitter=0.5),
        replace(CHECK, rise=1, fall=100, grace_s=3600.0, through=Through.DIRECT),
        asks(HttpRequest("HEAD", "/a?b=%20", "www.example.com:8080", (("X-A", "b c"),))),
        asks(HttpRequest(host="[2001:db8::1]:80", body="^ok$", statuses=(StatusRange(200, 599),))),
        asks(HttpRequest(tls=TlsOptions("www.example.com", verify=True))),
        asks(TlsRequest()),
        asks(UdpRequest(b"\0" * 1200, b"\xff")),
        asks(DnsRequest(".", RecordType.NS)),
        asks(DnsRequest("a." * 127)),
        asks(DnsRequest("_a.example.com.", RecordType.AAAA, frozenset({ip_address("::2")}))),
        HealthCheck(ExecRequest("check_web.sh", ("-x", "a b")), through=Through.DIRECT),
    ],
)
def test_a_check_that_can_be_done_is_taken(check: HealthCheck) -> None:
    """At the ends of each range as well."""
    assert [] == list(broken_rules(farm(check), {}))


@pytest.mark.parametrize(
    ("check", "pointer"),
    [
        (replace(CHECK, port=0), "/port"),
        (replace(CHECK, port=65536), "/port"),
        (replace(CHECK, interval_s=0.099), "/interval"),
        (replace(CHECK, interval_s=3601.0), "/interval"),
        (replace(CHECK, interval_s=float("nan")), "/interval"),
        (replace(CHECK, fast_interval_s=0.0), "/fast_interval"),
        (replace(CHECK, timeout_s=0.0), "/timeout"),
        (replace(CHECK, timeout_s=61.0), "/timeout"),
        (replace(CHECK, grace_s=-1.0), "/grace"),
        (replace(CHECK, rise=0), "/rise"),
        (replace(CHECK, fall=101), "/fall"),
        (replace(CHECK, jitter=0.51), "/jitter"),
        (asks(HttpRequest("get")), "/method"),
        (asks(HttpRequest("CONNECT")), "/method"),
        (asks(HttpRequest(path="healthz")), "/path"),
        (asks(HttpRequest(path="/ HTTP/1.1\r\nHost: a")), "/path"),
        (asks(HttpRequest(path="/" + "a" * 1000)), "/path"),
        (asks(HttpRequest(path="/ä")), "/path"),
        (asks(HttpRequest(host="a\r\nb")), "/host"),
        (asks(HttpRequest(host="")), "/host"),
        (asks(HttpRequest(headers=(("a b", "c"),))), "/headers/a b"),
        (asks(HttpRequest(headers=(("a/b", "c"),))), "/headers/a~1b"),
        (asks(HttpRequest(headers=(("Host", "c"),))), "/headers/Host"),
        (asks(HttpRequest(headers=(("content-LENGTH", "1"),))), "/headers/content-LENGTH"),
        (asks(HttpRequest(headers=(("A", "b\r\nC: d"),))), "/headers/A"),
        (asks(HttpRequest(headers=tuple((f"A{n}", "") for n in range(33)))), "/headers"),
        (asks(HttpRequest(statuses=())), "/statuses"),
        (asks(HttpRequest(statuses=(StatusRange(200, 200), StatusRange(299, 200)))), "/statuses/1"),
        (asks(HttpRequest(statuses=(StatusRange(100, 200),))), "/statuses/0"),
        (asks(HttpRequest(statuses=(StatusRange(200, 600),))), "/statuses/0"),
        (asks(HttpRequest(body="(")), "/body"),
        (asks(HttpRequest(body="")), "/body"),
        (asks(HttpRequest(body="((a{1000}){1000}){1000}")), "/body"),
        (asks(HttpRequest(body="(a{1000}){3000}")), "/body"),
        (asks(HttpRequest(body="(?u)a")), "/body"),
        (asks(HttpRequest(body="(" * 500)), "/body"),
        (asks(HttpRequest(body="\ud800")), "/body"),
        (asks(HttpRequest("HEAD", body="a")), "/body"),
        (asks(HttpRequest(tls=TlsOptions(verify=True))), "/tls/server_name"),
        (asks(TlsRequest(TlsOptions("a b"))), "/tls/server_name"),
        (asks(TlsRequest(TlsOptions("."))), "/tls/server_name"),
        (asks(UdpRequest(b"a" * 1201)), "/payload"),
        (asks(UdpRequest(b"", b"a" * 1201)), "/answer"),
        (asks(DnsRequest("a..b")), "/name"),
        (asks(DnsRequest("")), "/name"),
        (asks(DnsRequest("a" * 64)), "/name"),
        (asks(DnsRequest("aa." + "a." * 125 + "a")), "/name"),
        (asks(DnsRequest("a", RecordType.A, frozenset({ip_address("::2")}))), "/addresses"),
        (asks(DnsRequest("a", RecordType.MX, frozenset({VIP}))), "/addresses"),
        (HealthCheck(ExecRequest("../sh"), through=Through.DIRECT), "/program"),
        (HealthCheck(ExecRequest(".."), through=Through.DIRECT), "/program"),
        (HealthCheck(ExecRequest("a", ("b\0",)), through=Through.DIRECT), "/arguments/0"),
        (HealthCheck(ExecRequest("a", ("",) * 33), through=Through.DIRECT), "/arguments"),
        (HealthCheck(ExecRequest("a")), "/through"),
    ],
)
def test_a_check_that_cannot_be_done_is_refused(check: HealthCheck, pointer: str) -> None:
    """At the field that is wrong, and only there."""
    first = HealthCheck(UdpRequest(b"another"), port=9)
    assert [("pool web", f"/health_checks/1{pointer}")] == refused(farm(first, check))


@given(strategies.any_pools)
def test_any_checks_are_taken_or_refused_with_words(pool: Pool) -> None:
    """Nothing that a farm could say raises."""
    for _, problem in broken_health_rules(Farm({}, {pool.name: pool})):
        assert problem.detail
        assert problem.allowed


def test_one_question_is_asked_once() -> None:
    """However often; by another path or on another port it is another question."""
    twice = replace(CHECK, interval_s=9.0)
    assert [("pool web", "/health_checks/1")] == refused(farm(CHECK, twice))
    assert [("pool web", "/health_checks/1")] == refused(farm(CHECK, replace(CHECK, port=443)))
    direct = replace(CHECK, through=Through.DIRECT)
    assert [] == refused(farm(CHECK, replace(CHECK, port=8080), direct))


def test_a_pool_has_a_bounded_number_of_checks() -> None:
    """16 are taken, 17 are not."""
    checks = [replace(CHECK, port=port) for port in range(1, 18)]
    assert [] == refused(farm(*checks[:16]))
    assert [("pool web", "/health_checks")] == refused(farm(*checks))


def test_behind_a_mark_a_check_names_its_port() -> None:
    """A fwmark names none; a program needs none."""
    marked = Service("web", VIP, "web", None, fwmark=7)
    program = HealthCheck(ExecRequest("a"), through=Through.DIRECT)
    pool = Pool("web", health_checks=(replace(CHECK, port=80), program, CHECK))
    assert [("pool web", "/health_checks/2/port")] == refused(Farm({"web": marked}, {"web": pool}))


@pytest.mark.parametrize(
    ("policy", "pointers"),
    [
        (HealthPolicy(slow_start=SlowStart(1, 2), quorum=Quorum(1), panic_below=100), []),
        (HealthPolicy(slow_start=SlowStart(0, 1)), ["/slow_start/over", "/slow_start/steps"]),
        (HealthPolicy(slow_start=SlowStart(3601, 101)), ["/slow_start/over", "/slow_start/steps"]),
        (HealthPolicy(quorum=Quorum(0, -1)), ["/quorum/servers", "/quorum/hysteresis"]),
        (HealthPolicy(panic_below=101), ["/panic_below"]),
        (HealthPolicy(panic_below=-1), ["/panic_below"]),
    ],
)
def test_a_policy_keeps_to_its_ranges(policy: HealthPolicy, pointers: list[str]) -> None:
    """Each value by itself."""
    assert [("pool web", pointer) for pointer in pointers] == refused(farm(CHECK, policy=policy))


@pytest.mark.parametrize(
    ("sorry", "where"),
    [
        ("192.0.2.99", []),
        ("192.0.2.11", [("service web", "/sorry_server")]),
        ("192.0.2.10", [("service web", "/sorry_server")]),
        ("127.0.0.1", [("service web", "/sorry_server")]),
        ("198.51.100.10", [("service web", "/vip")]),
    ],
)
def test_a_sorry_server_is_a_host_of_its_own(sorry: str, where: list[tuple[str, str]]) -> None:
    """No server of the pool, no director, no VIP."""
    pool = Pool("web", real_servers=(RealServer("rs1", ip_address("192.0.2.11")),))
    service = replace(WEB, sorry_server=ip_address(sorry))
    found = broken_rules(
        Farm({"web": service}, {"web": pool}), {ip_address("192.0.2.10"): "director lb1"}
    )
    assert where == [(str(broken), problem.pointer) for broken, problem in found]
