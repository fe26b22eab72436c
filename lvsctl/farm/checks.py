"""Health checks of a pool: their requests, intervals and paths. Values."""

import enum
from dataclasses import dataclass

from lvsctl.net import IPAddress


class Through(enum.StrEnum):
    """Path of a probe.

    TUNNEL sends it to the VIP through the pool's tunnel, like a client's packets; DIRECT sends it
    to the real server's own address.
    """

    TUNNEL = "tunnel"
    DIRECT = "direct"


class CheckKind(enum.StrEnum):
    """Kinds of health checks, as the farm names them."""

    TCP = "tcp"
    HTTP = "http"
    HTTPS = "https"
    TLS = "tls"
    UDP = "udp"
    DNS = "dns"
    EXEC = "exec"


class RecordType(enum.IntEnum):
    """DNS record types that a check can query, with their numbers (RFC 1035, 3596)."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS options of a check.

    Attributes:
        server_name: Sent as SNI, and the name to verify; None sends no SNI.
        verify: The certificate must be valid for ``server_name``, by the director's
            certification authorities.
    """

    server_name: str | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class StatusRange:
    """HTTP statuses from ``first`` to ``last``, inclusive."""

    first: int
    last: int

    def __contains__(self, status: int) -> bool:
        return self.first <= status <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """The server accepts a connection."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The server answers an HTTP/1.1 request, over TLS for https.

    Attributes:
        method: As in the request line.
        path: Including the query.
        host: The Host field; None for the probed address.
        headers: Additional fields.
        statuses: Any other status fails.
        body: Regular expression (:mod:`lvsctl.health.patterns`) that must match somewhere in the
            body; None accepts any body.
        tls: None for http.
    """

    method: str = "GET"
    path: str = "/"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[StatusRange, ...] = (StatusRange(200, 299),)
    body: str | None = None
    tls: TlsOptions | None = None


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """The server completes a TLS handshake."""

    tls: TlsOptions = TlsOptions()


@dataclass(frozen=True, slots=True)
class UdpRequest:
    """The server answers a datagram.

    Attributes:
        payload: Content of the datagram; may be empty.
        answer: Required prefix of the answer; empty accepts any.
    """

    payload: bytes = b""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class DnsRequest:
    """The server answers a DNS query over UDP with NOERROR and a record of the queried type.

    Attributes:
        name: Absolute name to query.
        type: Record type to query.
        addresses: For A and AAAA: all of them must be in the answer; empty accepts any.
    """

    name: str
    type: RecordType = RecordType.A
    addresses: frozenset[IPAddress] = frozenset()


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A program that exits with status 0.

    Attributes:
        program: Name of a file in the folder of programs, without a path.
        arguments: Passed unchanged, without a shell.
    """

    program: str
    arguments: tuple[str, ...] = ()


Request = TcpRequest | HttpRequest | TlsRequest | UdpRequest | DnsRequest | ExecRequest


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A health check of a pool.

    Attributes:
        request: The request to send.
        port: Port to probe; None probes each port of the services that use the pool.
        through: Path of the probe.
        interval_s: From the start of one probe to the start of the next, while the verdict is
            stable.
        fast_interval_s: The same while the verdict is changing, if shorter.
        timeout_s: A probe that takes longer fails.
        rise: Consecutive passes that bring a server up; one is enough for the first verdict.
        fall: Consecutive failures that take a server down.
        grace_s: Time after checking began during which failures do not count, until the first
            pass.
        jitter: 0 to 0.5: random variation of the interval, as a share of it.
    """

    request: Request
    port: int | None = None
    through: Through = Through.TUNNEL
    interval_s: float = 2.0
    fast_interval_s: float = 1.0
    timeout_s: float = 1.0
    rise: int = 2
    fall: int = 3
    grace_s: float = 0.0
    jitter: float = 0.1

    @property
    def kind(self) -> CheckKind:
        """Kind of this check."""
        return kind_of(self.request)


def kind_of(request: Request) -> CheckKind:
    """Return the kind of check with this request."""
    match request:
        case TcpRequest():
            return CheckKind.TCP
        case HttpRequest(tls=None):
            return CheckKind.HTTP
        case HttpRequest():
            return CheckKind.HTTPS
        case TlsRequest():
            return CheckKind.TLS
        case UdpRequest():
            return CheckKind.UDP
        case DnsRequest():
            return CheckKind.DNS
        case ExecRequest():
            return CheckKind.EXEC
