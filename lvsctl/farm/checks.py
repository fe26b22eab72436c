"""What a pool's health checks ask of its real servers, how often, and by which path. Values."""

import enum
from dataclasses import dataclass

from lvsctl.net import IPAddress


class Through(enum.StrEnum):
    """The path of a probe.

    TUNNEL goes to the VIP, in the pool's tunnel, as a client's packets do; DIRECT goes to the
    real server's own address.
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
    """Types of DNS records that a check can ask for, with their numbers (RFC 1035, 3596)."""

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
    """How a check speaks TLS.

    Attributes:
        server_name: Sent as SNI, and the name that is verified; None sends and wants none.
        verify: The certificate must be valid, for ``server_name`` and by the director's own
            certification authorities.
    """

    server_name: str | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class StatusRange:
    """HTTP statuses from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, status: int) -> bool:
        return self.first <= status <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """A connection that is accepted."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP/1.1 request, with ``tls`` one of https.

    Attributes:
        method: As in the request line.
        path: With the query.
        host: The Host field; None names the address that is asked.
        headers: Further fields.
        statuses: An answer with another status fails.
        body: Regular expression (:mod:`lvsctl.health.patterns`) that has to match somewhere in the
            body; None takes any body.
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
    """A TLS handshake that succeeds."""

    tls: TlsOptions = TlsOptions()


@dataclass(frozen=True, slots=True)
class UdpRequest:
    """A datagram that is answered.

    Attributes:
        payload: What is sent; may be empty.
        answer: What the answer has to begin with; empty takes any.
    """

    payload: bytes = b""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class DnsRequest:
    """A DNS query over UDP, answered with NOERROR and a record of the type that was asked for.

    Attributes:
        name: Name asked for, absolute.
        type: Type asked for.
        addresses: Addresses that must all be in the answer to A or AAAA; empty takes any.
    """

    name: str
    type: RecordType = RecordType.A
    addresses: frozenset[IPAddress] = frozenset()


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A program that exits with status 0.

    Attributes:
        program: Name of a file in the director's ``--exec-dir``, without a path.
        arguments: Given to it as they are; no shell reads them.
    """

    program: str
    arguments: tuple[str, ...] = ()


Request = TcpRequest | HttpRequest | TlsRequest | UdpRequest | DnsRequest | ExecRequest


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A health check of a pool: what is asked, and how answers become a verdict.

    Attributes:
        request: What is asked.
        port: Port that is asked; None asks each port of the services that use the pool.
        through: Path of the probe.
        interval_s: From the start of one probe to that of the next while the verdict stands.
        fast_interval_s: The same while it is changing, where that is shorter.
        timeout_s: A probe that takes longer has failed.
        rise: Passes in a row after which a server that was down is up; without a verdict, one is
            enough.
        fall: Failures in a row after which a server that was up is down.
        grace_s: Failures do not count for so long after checking began, until the first pass.
        jitter: 0 to 0.5: by this share an interval may be longer or shorter, at random.
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
        """What people call this check."""
        return kind_of(self.request)


def kind_of(request: Request) -> CheckKind:
    """Return what people call a check with this request."""
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
