"""Rules for health checks, by themselves and within a farm. Pure.

Pointers are those of the documents, where a check is one flat object.
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
"""Checks of one pool."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 3600.0
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.01, 60.0
MAX_GRACE_S = 3600.0
MAX_IN_A_ROW = 100
MAX_JITTER = 0.5
MAX_TEXT = 1000
"""Characters of a path, header value, argument or pattern."""
MAX_ITEMS = 32
"""Headers, status ranges, addresses or arguments of a check."""
MAX_PAYLOAD = 1200
"""Bytes that fit in one datagram on every path, over IPv6 and a tunnel too."""
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
"""Header fields that the probe sets itself."""

VERSIONS: Mapping[RecordType, int] = {RecordType.A: 4, RecordType.AAAA: 6}
"""IP version of the addresses in a record."""


def broken_health_rules(farm: Farm) -> Iterator[BrokenRule]:
    """Yield everything that is wrong with the health checks and health policies of pools."""
    users: dict[str, list[Service]] = {}
    for service in farm.services.values():
        users.setdefault(service.pool, []).append(service)
    for pool in farm.pools.values():
        for problem in _pool(pool, users.get(pool.name, ())):
            yield ObjectId(Kind.POOL, pool.name), problem


def _pool(pool: Pool, services: Sequence[Service]) -> Iterator[Problem]:
    if len(pool.health_checks) > MAX_CHECKS:
        detail = f"{len(pool.health_checks)} checks are too many"
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
                detail = f"it duplicates check {earlier}{where}"
                yield Problem(f"/health_checks/{index}", detail, "each request once per port")
                break
    yield from _policy(pool.health_policy)


def _below(prefix: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (problem.below(prefix) for problem in problems)


def _ports(check: HealthCheck, services: Sequence[Service]) -> Sequence[int | None]:
    """Return the ports that a check probes."""
    if check.port is not None or isinstance(check.request, ExecRequest):
        return (check.port,)
    return sorted({port for service in services for port in service.ports})


def _port_is_known(check: HealthCheck, services: Sequence[Service]) -> Iterator[Problem]:
    if check.port is not None or isinstance(check.request, ExecRequest):
        return
    for service in services:
        if service.fwmark is not None:
            detail = f"service {service.name} of this pool has a fwmark, so a port is required"
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
        detail = "a program opens its own sockets; lvsctl cannot send them through the tunnel"
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
                    detail = f"{len(data)} bytes are too long"
                    yield Problem(pointer, detail, f"up to {MAX_PAYLOAD} bytes")
        case DnsRequest():
            yield from _dns(request)
        case ExecRequest():
            yield from _exec(request)


def _http(request: HttpRequest) -> Iterator[Problem]:
    if request.method not in METHODS:
        yield Problem(
            "/method", f"{request.method!r} is not a supported method", ", ".join(METHODS)
        )
    if not _PATH.fullmatch(request.path) or len(request.path) > MAX_TEXT:
        allowed = f"/ and up to {MAX_TEXT - 1} printable ASCII characters without spaces"
        yield Problem("/path", f"{_cut(request.path)} is not a valid path", allowed)
    if request.host is not None and not _HOST.fullmatch(request.host):
        detail = f"{_cut(request.host)} is not a valid host"
        yield Problem("/host", detail, "a name or address, optionally with a port")
    yield from _headers(request.headers)
    yield from _few("/statuses", len(request.statuses))
    if not request.statuses:
        yield Problem(
            "/statuses", "without statuses every answer fails", "at least one, like 200-299"
        )
    for index, statuses in enumerate(request.statuses):
        if not MIN_STATUS <= statuses.first <= statuses.last <= MAX_STATUS:
            allowed = f"a status or an ascending range, {MIN_STATUS} to {MAX_STATUS}"
            yield Problem(f"/statuses/{index}", f"{statuses} is not a status range", allowed)
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
            yield Problem(pointer, f"{_cut(name)} is not a field name", allowed)
        elif name.lower() in OWN_FIELDS:
            allowed = "the check's host" if name.lower() == "host" else "leave it out"
            yield Problem(pointer, f"the probe sets {name} itself", allowed)
        if not _VALUE.fullmatch(value) or len(value) > MAX_TEXT:
            allowed = f"up to {MAX_TEXT} printable ASCII characters, no space at either end"
            yield Problem(pointer, f"{_cut(value)} is not a field value", allowed)


def _pattern(pattern: str) -> Iterator[Problem]:
    if not pattern or len(pattern) > MAX_TEXT:
        yield Problem("/body", "the pattern is empty or too long", f"1 to {MAX_TEXT} characters")
        return
    try:
        compiled(pattern)
    except BadPattern as error:
        detail = f"{_cut(pattern)} is not a valid regular expression: {error}"
        yield Problem("/body", detail, "RE2 syntax: https://github.com/google/re2/wiki/Syntax")


def _tls(tls: TlsOptions) -> Iterator[Problem]:
    name = tls.server_name
    if name is None:
        if tls.verify:
            detail = "verify needs the name that the certificate must be valid for"
            yield Problem("/tls/server_name", detail, "a name like www.example.com")
    elif not _is_domain(name) or name.endswith("."):
        detail = f"{_cut(name)} is not a host name"
        yield Problem("/tls/server_name", detail, "like www.example.com")


def _dns(request: DnsRequest) -> Iterator[Problem]:
    if not _is_domain(request.name):
        detail = f"{_cut(request.name)} is not a domain name"
        yield Problem("/name", detail, "like www.example.com")
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
        allowed = "a file name without a path: letters, digits, '.', '_', '-'"
        yield Problem("/program", f"{_cut(request.program)} is not a program name", allowed)
    yield from _few("/arguments", len(request.arguments))
    for index, argument in enumerate(request.arguments):
        if "\0" in argument or len(argument) > MAX_TEXT:
            allowed = f"up to {MAX_TEXT} characters without NUL"
            yield Problem(
                f"/arguments/{index}", f"{_cut(argument)} is not a valid argument", allowed
            )


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
