"""The kinds of fields: how each is read, written and described."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from api.schemas.base import shown, wrong
from lvsctl.duration import DURATION_ALLOWED, DURATION_PATTERN, format_duration, parse_duration
from lvsctl.farm import MarkRange
from lvsctl.farm_rules import MAX_MARK, MAX_PORT, MAX_THRESHOLD, MAX_WEIGHT, NAME_PATTERN
from lvsctl.ipvs_table import IPAddress

ADDRESS_ALLOWED = "an IP address like 192.0.2.11"
MARKS_ALLOWED = "two marks like 0x4c560000-0x4c56ffff"
MAX_REASON = 500
MARKS_PATTERN = r"^0x[0-9a-fA-F]{1,8}-0x[0-9a-fA-F]{1,8}$"


def read_address(value: object) -> IPAddress:
    """Return the address that a text stands for; ``ip_address`` alone would take numbers too."""
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is no IP address", ADDRESS_ALLOWED)
    if "%" in value:
        raise wrong(f"{shown(value)} names an interface", ADDRESS_ALLOWED)
    try:
        return ip_address(value)
    except ValueError:
        raise wrong(f"{shown(value)} is no IP address", ADDRESS_ALLOWED) from None


def read_duration(value: object) -> int:
    """Return the seconds that a text stands for."""
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong(f"{shown(value)} is no duration", DURATION_ALLOWED) from None


def read_marks(value: object) -> MarkRange:
    """Return the range of marks that a text stands for."""
    if not isinstance(value, str) or not re.fullmatch(MARKS_PATTERN, value):
        raise wrong(f"{shown(value)} is no range of marks", MARKS_ALLOWED)
    first, last = value.split("-")
    return MarkRange(int(first, 16), int(last, 16))


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
Marks = Annotated[
    MarkRange,
    PlainValidator(read_marks),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": MARKS_PATTERN}),
]
Protocol = Literal["tcp", "udp", "sctp"]


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise wrong("it has characters that do not print", "one line of text")
    return text


def _whole(low: int, high: int) -> object:
    """Describe a whole number; its range is a rule of the farm, checked there."""
    return WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


Port = Annotated[int, _whole(1, MAX_PORT)]
Weight = Annotated[int, _whole(0, MAX_WEIGHT)]
Threshold = Annotated[int, _whole(0, MAX_THRESHOLD)]
Mark = Annotated[int, _whole(1, MAX_MARK)]
PrefixLength = Annotated[int, _whole(1, 128)]
Reason = Annotated[str, Field(max_length=MAX_REASON), AfterValidator(_one_line)]
