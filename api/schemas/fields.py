"""Types of fields: how each is parsed, serialized and documented."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from api.schemas.base import shown, wrong
from lvsctl.farm.model import MarkRange, PortRange
from lvsctl.farm.rules.farm import MAX_MARK, MAX_PORT
from lvsctl.farm.rules.fields import MAX_THRESHOLD, MAX_WEIGHT, NAME_PATTERN
from lvsctl.farm.rules.tunnels import MAX_MTU, MIN_MTU
from lvsctl.net import IPAddress, parse_address
from lvsctl.times import (
    DURATION_ALLOWED,
    DURATION_PATTERN,
    SHORT_DURATION_ALLOWED,
    SHORT_DURATION_PATTERN,
    format_duration,
    format_short_duration,
    format_utc,
    parse_duration,
    parse_short_duration,
)

ADDRESS_ALLOWED = "an IP address like 192.0.2.11"
MARKS_ALLOWED = "two marks like 0x4c560000-0x4c56ffff"
MAX_REASON = 500
MAX_REVISION = 2**63 - 1
"""The largest integer that a store holds."""
MARKS_PATTERN = r"^0x[0-9a-fA-F]{1,8}-0x[0-9a-fA-F]{1,8}$"
TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
TIME_ALLOWED = "a time in UTC like 2026-01-02T03:04:05Z"
PORTS_ALLOWED = "first and last, such as 61000-64999"
PORTS_PATTERN = r"^[0-9]{1,5}-[0-9]{1,5}$"


def read_address(value: object) -> IPAddress:
    """Parse an address; ``ip_address`` alone would accept numbers too."""
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is not an IP address", ADDRESS_ALLOWED)
    if "%" in value:
        raise wrong(f"{shown(value)} has a zone", ADDRESS_ALLOWED)
    try:
        return parse_address(value)
    except ValueError:
        raise wrong(f"{shown(value)} is not an IP address", ADDRESS_ALLOWED) from None


def read_duration(value: object) -> int:
    """Parse a duration; return seconds."""
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong(f"{shown(value)} is not a duration", DURATION_ALLOWED) from None


def read_short_duration(value: object) -> float:
    """Parse a duration that may be in milliseconds; return seconds."""
    try:
        return parse_short_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong(f"{shown(value)} is not a duration", SHORT_DURATION_ALLOWED) from None


def read_marks(value: object) -> MarkRange:
    """Parse a range of firewall marks."""
    if not isinstance(value, str) or not re.fullmatch(MARKS_PATTERN, value):
        raise wrong(f"{shown(value)} is not a range of marks", MARKS_ALLOWED)
    first, last = value.split("-")
    return MarkRange(int(first, 16), int(last, 16))


def read_ports(value: object) -> PortRange:
    """Parse a range of ports."""
    if not isinstance(value, str) or not re.fullmatch(PORTS_PATTERN, value, re.ASCII):
        raise wrong(f"{shown(value)} is not a range of ports", PORTS_ALLOWED)
    first, last = value.split("-")
    return PortRange(int(first), int(last))


def read_time(value: object) -> datetime:
    """Parse a time in UTC, in the format of responses."""
    try:
        if isinstance(value, str) and re.fullmatch(TIME_PATTERN, value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise wrong(f"{shown(value)} is not a time", TIME_ALLOWED)


Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
Address = Annotated[
    IPAddress,
    PlainValidator(read_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]
Duration = Annotated[
    int,
    PlainValidator(read_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["300s", "5m"]}),
]
Time = Annotated[
    datetime,
    PlainValidator(read_time),
    PlainSerializer(format_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
ShortDuration = Annotated[
    float,
    PlainValidator(read_short_duration),
    PlainSerializer(format_short_duration),
    WithJsonSchema(
        {"type": "string", "pattern": SHORT_DURATION_PATTERN, "examples": ["500ms", "2s"]}
    ),
]
Marks = Annotated[
    MarkRange,
    PlainValidator(read_marks),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": MARKS_PATTERN}),
]
Ports = Annotated[
    PortRange,
    PlainValidator(read_ports),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": PORTS_PATTERN}),
]
Protocol = Literal["tcp", "udp", "sctp"]


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise wrong("the text has control characters", "one line of printable text")
    return text


def _whole(low: int, high: int) -> object:
    """Return the JSON schema of an integer; its range is checked by the farm's rules."""
    return WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


Port = Annotated[int, _whole(1, MAX_PORT)]
Mtu = Annotated[int, _whole(MIN_MTU, MAX_MTU)]
Weight = Annotated[int, _whole(0, MAX_WEIGHT)]
Threshold = Annotated[int, _whole(0, MAX_THRESHOLD)]
Mark = Annotated[int, _whole(1, MAX_MARK)]
PrefixLength = Annotated[int, _whole(1, 128)]
Reason = Annotated[str, Field(max_length=MAX_REASON), AfterValidator(_one_line)]
