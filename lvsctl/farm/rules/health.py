"""What health checks must keep to, by themselves and within a farm. Pure.

Pointers are those of the documents, in which a check is one flat object.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence

from lvsctl.errors import Problem
from lvsctl.farm.checks import (
    DnsRequest,
    ExecRequest,
    HealthCheck,
    HttpRequest,
    RecordType,
    Request,
    TcpRequest,
    Through,
    TlsOptions,
    TlsRequest,
    UdpRequest,
)
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.policy import HealthPolicy
from lvsctl.health.patterns import BadPattern, compiled

BrokenRule = tuple[ObjectId, Problem]

MAX_PORT = 65535
MAX_CHECKS = 16
"""Of a pool."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 3600.0
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.01, 60.0
MAX_GRACE_S = 3600.0
MAX_IN_A_ROW = 100
MAX_JITTER = 0.5
MAX_TEXT = 1000
"""Characters of a path, a field's value, an argument, a pattern."""
MAX_ITEMS = 32
"""Headers, ranges of statuses, addresses, arguments of a check."""
MAX_PAYLOAD = 1200
"""Bytes that every path carries in one datagram, IPv6 and tunnel included."""
MIN_STATUS, MAX_STATUS = 200, 599
MAX_SLOW_START_S = 3600
MIN_STEPS, MAX_STEPS = 2, 100
MAX_SERVERS = 10000
PERCENT = 100
MAX_SHOWN = 60

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_PATH = re.compile(r"/[!-~]*")
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.1
_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|\.")
_MAX_DOMAIN = 253  # without the last dot (RFC 1035, 2.3.4)
PROGRAM_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_PROGRAM = re.compile(PROGRAM_PATTERN)
OWN_FIELDS = ("connection", "content-length", "host", "transfer-encoding")
"""Header fields that a probe sets itself."""

VERSIONS: Mapping[RecordType, int] = {RecordType.A: 4, RecordType.AAAA: 6}
"""Versions of the addresses in records."""


def broken_health_rules(farm: Farm) -> Iterator[BrokenRule]:
    """Yield everything that is wrong with the health checks of pools and what follows from them."""
    users: dict[str, list[Service]] = {}
    for service in farm.services.values():
        users.setdefault(service.pool, []).append(service)
    for pool in farm.pools.values():
        for problem in _pool(pool, users.get(pool.name, ())):
            yield ObjectId(Kind.POOL, pool.name), problem


def _pool(pool: Pool, services: Sequence[Service]) -> Iterator[Problem]:
    if len(pool.health_checks) > MAX_CHECKS:
        detail = f"{len(pool.health_checks)} are too many"
        yield Problem("/health_checks", detail, f"up to {MAX_CHECKS}")
    asked: dict[tuple[Request, int | None, Through], int] = {}
    for index, check in enumerate(pool.health_checks):
        below = functools.partial(_below, f"/health_checks/{index}")
        yield from below(_check(check))
        yield from below(_port_is_known(check, services))
        for port in _ports(check, services):
            earlier = asked.setdefault((check.request, port, check.through), index)
            if earlier != index:
                where = f" on port {port}" if port else ""
                detail = f"it asks the same as check {earlier}{where}"
                yield Problem(f"/health_checks/{index}", detail, "each question once")
                break
    yield from _policy(pool.health_policy)


def _below(prefix: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (problem.below(prefix) for problem in problems)


def _ports(check: HealthCheck, services: Sequence[Service]) -> Sequence[int | None]:
    """Return the ports that a check asks."""
    if check.port is not None or isinstance(check.request, ExecRequest):
        return (check.port,)
    return sorted({port for service in services for port in service.ports})


def _port_is_known(check: HealthCheck, services: Sequence[Service]) -> Iterator[Problem]:
    if check.port is not None or isinstance(check.request, ExecRequest):
        return
    for service in services:
        if service.fwmark is not None:
            detail = f"service {service.name} of this pool has a fwmark, which names no port"
            yield Problem("/port", detail, f"1 to {MAX_PORT}")
            return


def _check(check: HealthCheck) -> Iterator[Problem]:
    if check.port is not None:
        yield from _within("/port", check.port, 1, MAX_PORT)
    for pointer, seconds, low, high in (
        ("/interval", check.interval_s, MIN_INTERVAL_S, MAX_INTERVAL_S),
        ("/fast_interval", check.fast_interval_s, MIN_INTERVAL_S, MAX_INTERVAL_S),
        ("/timeout", check.timeout_s, MIN_TIMEOUT_S, MAX_TIMEOUT_S),
        ("/grace", check.grace_s, 0.0, MAX_GRACE_S),
    ):
        if not low <= seconds <= high:
            allowed = f"{round(low * 1000)}ms to {high:g}s"
            yield Problem(pointer, f"{seconds:g} s is out of range", allowed)
    yield from _within("/rise", check.rise, 1, MAX_IN_A_ROW)
    yield from _within("/fall", check.fall, 1, MAX_IN_A_ROW)
    yield from _within("/jitter", check.jitter, 0, MAX_JITTER)
    yield from _request(check.request)
    if isinstance(check.request, ExecRequest) and check.through is not Through.DIRECT:
        detail = "a program opens its own sockets, which lvsctl cannot send through the tunnel"
        yield Problem("/through", detail, "direct")


def _request(request: Request) -> Iterator[Problem]:
    match request:
        case TcpRequest():
            return
        case HttpRequest():
            yield from _http(request)
        case TlsRequest():
            yield from _tls(request.tls)
        case UdpRequest():
            for pointer, data in (("/payload", request.payload), ("/answer", request.answer)):
                if len(data) > MAX_PAYLOAD:
                    detail = f"{len(data)} bytes are too many"
                    yield Problem(pointer, detail, f"up to {MAX_PAYLOAD} bytes")
        case DnsRequest():
            yield from _dns(request)
        case ExecRequest():
            yield from _exec(request)


def _http(request: HttpRequest) -> Iterator[Problem]:
    if request.method not in METHODS:
        yield Problem("/method", f"{request.method!r} is not sent", ", ".join(METHODS))
    if not _PATH.fullmatch(request.path) or len(request.path) > MAX_TEXT:
        allowed = f"up to {MAX_TEXT} printable ASCII characters without space, the first a /"
        yield Problem("/path", f"{_cut(request.path)} is no path", allowed)
    if request.host is not None and not _HOST.fullmatch(request.host):
        detail = f"{_cut(request.host)} is no host"
        yield Problem("/host", detail, "a name or an address, and a port where it is needed")
    yield from _headers(request.headers)
    yield from _few("/statuses", len(request.statuses))
    if not request.statuses:
        yield Problem("/statuses", "every answer would fail", "at least one, like 200-299")
    for index, statuses in enumerate(request.statuses):
        if not MIN_STATUS <= statuses.first <= statuses.last <= MAX_STATUS:
            allowed = f"one status, or two with the lower first, {MIN_STATUS} to {MAX_STATUS}"
            yield Problem(f"/statuses/{index}", f"{statuses} is no range of statuses", allowed)
    if request.body is not None:
        yield from _pattern(request.body)
        if request.method == "HEAD":
            yield Problem("/body", "an answer to HEAD has no body", "leave it out, or method GET")
    if request.tls is not None:
        yield from _tls(request.tls)


def _headers(headers: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    yield from _few("/headers", len(headers))
    for name, value in headers:
        pointer = "/headers/" + name.replace("~", "~0").replace("/", "~1")  # RFC 6901, 3
        if not _FIELD.fullmatch(name):
            allowed = "letters, digits and !#$%&'*+.^_`|~-"
            yield Problem(pointer, f"{_cut(name)} is no name of a field", allowed)
        elif name.lower() in OWN_FIELDS:
            allowed = "the check's host" if name.lower() == "host" else "leave it out"
            yield Problem(pointer, f"the probe sets {name} itself", allowed)
        if not _VALUE.fullmatch(value) or len(value) > MAX_TEXT:
            allowed = f"up to {MAX_TEXT} printable ASCII characters, no space at either end"
            yield Problem(pointer, f"{_cut(value)} is no value of a field", allowed)


def _pattern(pattern: str) -> Iterator[Problem]:
    if not pattern or len(pattern) > MAX_TEXT:
        yield Problem("/body", "it is empty or too long", f"1 to {MAX_TEXT} characters")
        return
    try:
        compiled(pattern)
    except BadPattern as error:
        detail = f"{_cut(pattern)} is no regular expression: {error}"
        yield Problem("/body", detail, "RE2 syntax: https://github.com/google/re2/wiki/Syntax")


def _tls(tls: TlsOptions) -> Iterator[Problem]:
    name = tls.server_name
    if name is None:
        if tls.verify:
            detail = "verification needs the name that the certificate is to be for"
            yield Problem("/tls/server_name", detail, "a name like www.example.com")
    elif not _is_domain(name) or name.endswith("."):
        yield Problem("/tls/server_name", f"{_cut(name)} is no host name", "like www.example.com")


def _dns(request: DnsRequest) -> Iterator[Problem]:
    if not _is_domain(request.name):
        yield Problem("/name", f"{_cut(request.name)} is no domain name", "like www.example.com")
    yield from _few("/addresses", len(request.addresses))
    version = VERSIONS.get(request.type)
    for address in sorted(request.addresses, key=str):
        if address.version != version:
            detail = f"{address} cannot be in an answer of type {request.type.name}"
            allowed = f"IPv{version} addresses" if version else "leave them out, or type A or AAAA"
            yield Problem("/addresses", detail, allowed)


def _is_domain(name: str) -> bool:
    return len(name.removesuffix(".")) <= _MAX_DOMAIN and bool(_DOMAIN.fullmatch(name))


def _exec(request: ExecRequest) -> Iterator[Problem]:
    if not _PROGRAM.fullmatch(request.program):
        allowed = "the name of a file in --exec-dir: letters, digits, '.', '_', '-'"
        yield Problem("/program", f"{_cut(request.program)} is no name of a program", allowed)
    yield from _few("/arguments", len(request.arguments))
    for index, argument in enumerate(request.arguments):
        if "\0" in argument or len(argument) > MAX_TEXT:
            allowed = f"up to {MAX_TEXT} characters without NUL"
            yield Problem(f"/arguments/{index}", f"{_cut(argument)} is no argument", allowed)


def _policy(policy: HealthPolicy) -> Iterator[Problem]:
    if policy.slow_start:
        yield from _within("/slow_start/over", policy.slow_start.over_s, 1, MAX_SLOW_START_S)
        yield from _within("/slow_start/steps", policy.slow_start.steps, MIN_STEPS, MAX_STEPS)
    if policy.quorum:
        yield from _within("/quorum/servers", policy.quorum.servers, 1, MAX_SERVERS)
        yield from _within("/quorum/hysteresis", policy.quorum.hysteresis, 0, MAX_SERVERS)
    yield from _within("/panic_below", policy.panic_below, 0, PERCENT)


def _within(pointer: str, value: float, low: float, high: float) -> Iterator[Problem]:
    if not low <= value <= high:
        yield Problem(pointer, f"{value} is out of range", f"{low} to {high}")


def _few(pointer: str, count: int) -> Iterator[Problem]:
    if count > MAX_ITEMS:
        yield Problem(pointer, f"{count} are too many", f"up to {MAX_ITEMS}")


def _cut(text: str) -> str:
    return repr(text) if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]!r}…"
