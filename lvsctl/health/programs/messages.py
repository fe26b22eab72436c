"""Protocol between director and program service: one JSON object per line.

{"program": "check-db", "arguments": ["-t"], "vip": "198.51.100.10", "rip": "192.0.2.11",
 "port": 5432, "timeout_s": 1.0}
{"status": 0, "output": "fine"}    or    {"refusal": "/etc/lvsctl/checks/check-db: …"}
"""

import ipaddress
import json
import math
from dataclasses import asdict, dataclass

from lvsctl.errors import LvsctlError

MAX_ORDER = 256 << 10
"""Bytes including the newline: 32 arguments of 1,000 characters, with some margin."""
MAX_ANSWER = 16 << 10
MAX_ARGUMENTS = 32
MAX_ARGUMENT = 4000
"""Bytes: 1,000 characters of UTF-8."""
MAX_TIMEOUT_S = 60.0
MAX_PORT = 65535


class BadMessage(LvsctlError):
    """A line is not a valid message."""


@dataclass(frozen=True, slots=True)
class Order:
    """A program to run.

    Attributes:
        program: Name of a file in the service's folder, without a path.
        arguments: Passed to it unchanged.
        vip: Virtual address, as text.
        rip: Address of the real server, as text.
        port: Port to check; None if the check has none.
        timeout_s: It is killed after this time.
    """

    program: str
    arguments: tuple[str, ...]
    vip: str | None
    rip: str | None
    port: int | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A program has ended.

    Attributes:
        status: Its exit status, negative for the signal that killed it.
        output: The end of its output, on one line.
    """

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A program was not run.

    Attributes:
        refusal: Why, with the cure.
    """

    refusal: str


Answer = Ended | Refused


def encode(message: Order | Answer) -> bytes:
    """Encode a message as a line."""
    return json.dumps(asdict(message)).encode() + b"\n"


def decode_order(line: bytes) -> Order:
    """Decode an order.

    Raises:
        BadMessage: It is not valid.
    """
    match _object(line):
        case {
            "program": str(program),
            "arguments": list(arguments),
            "vip": str() | None as vip,
            "rip": str() | None as rip,
            "port": int() | None as port,
            "timeout_s": float() | int() as timeout_s,
            **rest,
        } if not rest:
            pass
        case _:
            raise BadMessage("not an order")
    if len(arguments) > MAX_ARGUMENTS or not all(map(_is_argument, arguments)):
        raise BadMessage("bad arguments")
    for address in (vip, rip):
        if address is not None and not _is_address(address):
            raise BadMessage(f"{address!r} is not an address")
    if isinstance(port, bool) or not 0 < (1 if port is None else port) <= MAX_PORT:
        raise BadMessage(f"{port!r} is not a port")
    if isinstance(timeout_s, bool) or not 0 < timeout_s <= MAX_TIMEOUT_S:  # NaN is refused too
        raise BadMessage(f"{timeout_s!r} is not a timeout of up to {MAX_TIMEOUT_S:g} s")
    return Order(program, tuple(arguments), vip, rip, port, float(timeout_s))


def decode_answer(line: bytes) -> Answer:
    """Decode an answer.

    Raises:
        BadMessage: It is not valid.
    """
    match _object(line):
        case {"status": int(status), "output": str(output)}:
            return Ended(status, output)
        case {"refusal": str(refusal)}:
            return Refused(refusal)
        case _:
            raise BadMessage("not an answer")


def _object(line: bytes) -> object:
    try:
        return json.loads(line, parse_constant=lambda _: math.nan)
    except (ValueError, RecursionError) as error:
        raise BadMessage("not JSON") from error


def _is_argument(value: object) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    return len(value.encode(errors="surrogatepass")) <= MAX_ARGUMENT


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
