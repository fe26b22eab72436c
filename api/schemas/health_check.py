"""The health checks of a pool: one flat object per check, discriminated by ``type``."""

import re
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from api.schemas.base import Document, shown, wrong
from api.schemas.fields import Address, Port, ShortDuration
from api.schemas.items import Items
from lvsctl.farm import checks as check
from lvsctl.farm.checks import RecordType, StatusRange, Through
from lvsctl.farm.rules import health as rules

_DEFAULT = check.HealthCheck(check.TcpRequest())
STATUSES_PATTERN = r"^[0-9]{3}(-[0-9]{3})?$"
STATUSES_ALLOWED = 'a status like "204", or a range like "200-299"'
HEX_ALLOWED = "pairs of hexadecimal digits, like 0a1b"
EMPTY: JsonDict = {"default": ""}
HEX_PATTERN = r"^([0-9a-fA-F]{2})*$"


def read_statuses(value: object) -> StatusRange:
    """Parse an HTTP status or a range of them."""
    if not isinstance(value, str) or not re.fullmatch(STATUSES_PATTERN, value, re.ASCII):
        raise wrong(f"{shown(value)} is not a range of statuses", STATUSES_ALLOWED)
    first, _, last = value.partition("-")
    return StatusRange(int(first), int(last or first))


def read_hex(value: object) -> bytes:
    """Parse bytes in hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch(HEX_PATTERN, value):
        raise wrong(f"{shown(value)} is not a string of bytes in hexadecimal", HEX_ALLOWED)
    return bytes.fromhex(value)


Statuses = Annotated[
    StatusRange,
    PlainValidator(read_statuses),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": STATUSES_PATTERN, "examples": ["200-299"]}),
]
Hex = Annotated[
    bytes,
    PlainValidator(read_hex),
    PlainSerializer(bytes.hex),
    WithJsonSchema({"type": "string", "pattern": HEX_PATTERN, "maxLength": rules.MAX_PAYLOAD * 2}),
]
InARow = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": rules.MAX_IN_A_ROW})]
Text = Annotated[str, Field(json_schema_extra={"maxLength": rules.MAX_TEXT})]


class Tls(Document):
    """TLS options of a check."""

    server_name: Text | None = Field(
        default=None, description="Name sent as SNI, and verified if verify is true."
    )
    verify: bool = Field(
        default=False,
        description="The certificate must be issued by a certification authority that the director "
        "trusts, and be valid for server_name.",
    )

    def value(self) -> check.TlsOptions:
        """Return the value that the document represents."""
        return check.TlsOptions(self.server_name, self.verify)

    @classmethod
    def of(cls, value: check.TlsOptions) -> Self:
        """Return the document of these options."""
        return cls.model_construct(server_name=value.server_name, verify=value.verify)


class Check(Document):
    """Fields of all checks."""

    port: Port | None = Field(
        default=None, description="Port to probe; default: each port of the pool's services."
    )
    through: Literal["tunnel", "direct"] = Field(
        default="tunnel",
        description="tunnel: to the VIP, as a client's packets go. direct: to the server itself.",
    )
    interval: ShortDuration = Field(
        default=_DEFAULT.interval_s,
        description="Time between probes, 100ms to 1h.",
        json_schema_extra={"default": "2s"},
    )
    fast_interval: ShortDuration = Field(
        default=_DEFAULT.fast_interval_s,
        description="Time between probes while the verdict is changing, if it is shorter.",
        json_schema_extra={"default": "1s"},
    )
    timeout: ShortDuration = Field(
        default=_DEFAULT.timeout_s,
        description="A probe that takes longer fails, 10ms to 1m.",
        json_schema_extra={"default": "1s"},
    )
    rise: InARow = Field(
        default=_DEFAULT.rise,
        description="Consecutive passes until a server that is down counts as up; a new server "
        "needs only one.",
    )
    fall: InARow = Field(
        default=_DEFAULT.fall,
        description="Consecutive failures until a server that is up counts as down.",
    )
    grace: ShortDuration = Field(
        default=_DEFAULT.grace_s,
        description="Time after checking began during which failures do not count, unless a probe "
        "has passed.",
        json_schema_extra={"default": "0s"},
    )
    jitter: Annotated[
        float, Field(json_schema_extra={"minimum": 0, "maximum": rules.MAX_JITTER})
    ] = Field(
        default=_DEFAULT.jitter,
        description="Fraction of the interval by which it is varied at random, up or down.",
    )

    def request(self) -> check.Request:
        """Return the request."""
        raise NotImplementedError

    def value(self) -> check.HealthCheck:
        """Return the value that the document represents."""
        return check.HealthCheck(
            request=self.request(),
            port=self.port,
            through=Through(self.through),
            interval_s=self.interval,
            fast_interval_s=self.fast_interval,
            timeout_s=self.timeout,
            rise=self.rise,
            fall=self.fall,
            grace_s=self.grace,
            jitter=self.jitter,
        )


class TcpCheck(Check):
    """The server accepts a connection."""

    type: Literal["tcp"]

    def request(self) -> check.TcpRequest:
        """Return the request."""
        return check.TcpRequest()


class _HttpRequest(Check):
    method: Annotated[str, Field(json_schema_extra={"enum": list(rules.METHODS)})] = Field(
        default="GET", description="Request method."
    )
    path: Text = Field(default="/", description="Path, with the query if there is one.")
    host: Text | None = Field(
        default=None, description="Host field; default: the address that is probed."
    )
    headers: dict[str, Text] = Field(default={}, description="Additional header fields.")
    statuses: Items[Statuses] = Field(
        default=[StatusRange(200, 299)],
        description="Statuses that pass.",
        json_schema_extra={"default": ["200-299"]},
    )
    body: Text | None = Field(
        default=None,
        description="Regular expression (RE2) that must match somewhere in the body.",
    )

    def request(self) -> check.HttpRequest:
        """Return the request."""
        return check.HttpRequest(
            method=self.method,
            path=self.path,
            host=self.host,
            headers=tuple(self.headers.items()),
            statuses=tuple(self.statuses),
            body=self.body,
        )


class HttpCheck(_HttpRequest):
    """The server answers an HTTP/1.1 request."""

    type: Literal["http"]


class HttpsCheck(_HttpRequest):
    """The server answers an HTTP/1.1 request over TLS."""

    type: Literal["https"]
    tls: Tls = Tls()

    def request(self) -> check.HttpRequest:
        """Return the request."""
        return replace(super().request(), tls=self.tls.value())


class TlsCheck(Check):
    """The server completes a TLS handshake."""

    type: Literal["tls"]
    tls: Tls = Tls()

    def request(self) -> check.TlsRequest:
        """Return the request."""
        return check.TlsRequest(self.tls.value())


class UdpCheck(Check):
    """The server answers a datagram."""

    type: Literal["udp"]
    payload: Hex = Field(
        default=b"", description="Datagram to send, in hexadecimal.", json_schema_extra=EMPTY
    )
    answer: Hex = Field(
        default=b"",
        description="Required start of the answer, in hexadecimal; default: any answer passes.",
        json_schema_extra=EMPTY,
    )

    def request(self) -> check.UdpRequest:
        """Return the request."""
        return check.UdpRequest(self.payload, self.answer)


class DnsCheck(Check):
    """The server answers a DNS query with a record of the requested type."""

    type: Literal["dns"]
    name: Text = Field(description="Name to query, like www.example.com.")
    record: Literal["A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA"] = Field(
        default="A", description="Record type to query."
    )
    addresses: Items[Address] = Field(
        default=[], description="For A and AAAA: addresses that must all be in the answer."
    )

    def request(self) -> check.DnsRequest:
        """Return the request."""
        return check.DnsRequest(self.name, RecordType[self.record], frozenset(self.addresses))


class ExecCheck(Check):
    """A program on the director exits with status 0."""

    type: Literal["exec"]
    through: Literal["direct"] = Field(
        default="direct", description="A program opens its own sockets."
    )
    program: Annotated[
        str, WithJsonSchema({"type": "string", "pattern": rules.PROGRAM_PATTERN})
    ] = Field(description="Name of a file in the director's --exec-dir.")
    arguments: Items[Text] = Field(
        default=[], description="Passed to the program unchanged, without a shell."
    )

    def request(self) -> check.ExecRequest:
        """Return the request."""
        return check.ExecRequest(self.program, tuple(self.arguments))


HealthCheck = Annotated[
    TcpCheck | HttpCheck | HttpsCheck | TlsCheck | UdpCheck | DnsCheck | ExecCheck,
    Field(discriminator="type"),
]


def document_of(value: check.HealthCheck) -> Check:
    """Return the document of a check."""
    common: dict[str, Any] = {
        "type": str(value.kind),
        "port": value.port,
        "through": str(value.through),
        "interval": value.interval_s,
        "fast_interval": value.fast_interval_s,
        "timeout": value.timeout_s,
        "rise": value.rise,
        "fall": value.fall,
        "grace": value.grace_s,
        "jitter": value.jitter,
    }
    match value.request:
        case check.TcpRequest():
            return TcpCheck.model_construct(**common)
        case check.HttpRequest() as http:
            request: dict[str, Any] = {
                "method": http.method,
                "path": http.path,
                "host": http.host,
                "headers": dict(http.headers),
                "statuses": list(http.statuses),
                "body": http.body,
            }
            if http.tls is None:
                return HttpCheck.model_construct(**common, **request)
            return HttpsCheck.model_construct(**common, **request, tls=Tls.of(http.tls))
        case check.TlsRequest(tls):
            return TlsCheck.model_construct(**common, tls=Tls.of(tls))
        case check.UdpRequest(payload, answer):
            return UdpCheck.model_construct(**common, payload=payload, answer=answer)
        case check.DnsRequest(name, record, addresses):
            ordered = sorted(addresses, key=lambda address: (address.version, int(address)))
            return DnsCheck.model_construct(
                **common, name=name, record=record.name, addresses=ordered
            )
        case check.ExecRequest(program, arguments):
            return ExecCheck.model_construct(**common, program=program, arguments=list(arguments))
