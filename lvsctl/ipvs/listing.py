"""Parses the output of ``ipvsadm -Ln``: counters, connections, thresholds and timeouts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.save_parser import parse_endpoint, parse_mark
from lvsctl.ipvs.table import AddressKey, DestinationKey, FwmarkKey, ServiceKey, Timeouts
from lvsctl.net import Family, IpProtocol

_PROTOCOLS = {protocol.name: protocol for protocol in IpProtocol}
_UNKNOWN_PROTOCOL = "?"
_MARK = "FWM"
_DESTINATION = "->"
_HEADER_LINES = 3
_TIMEOUTS = re.compile(r"Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)\s*")

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The columns of numbers of one service and of each of its destinations."""

    numbers: Numbers
    destinations: Mapping[DestinationKey, Numbers]


def parse_listing(text: str) -> Mapping[ServiceKey, Listed]:
    """Parse the output of ``-Ln`` with one of the options that change its columns.

    A service whose columns are not numbers, as with ``--thresholds``, gets none.

    Raises:
        MalformedMessage: A line is not in ipvsadm's format.
    """
    listed: dict[ServiceKey, Listed] = {}
    destinations: dict[DestinationKey, Numbers] = {}
    for line in text.splitlines()[_HEADER_LINES:]:
        try:
            kind, name, *columns = line.split()
            if kind == _DESTINATION:
                destinations[DestinationKey(*parse_endpoint(name))] = tuple(map(int, columns))
                continue
            destinations = {}
            if kind != _UNKNOWN_PROTOCOL:
                key, columns = _key(kind, name, columns)
                listed[key] = Listed(_numbers(columns), destinations)
        except (KeyError, ValueError) as error:
            raise MalformedMessage(f"ipvsadm -Ln printed {line!r}") from error
    return listed


def _key(kind: str, name: str, columns: list[str]) -> tuple[ServiceKey, list[str]]:
    if kind != _MARK:
        return AddressKey(_PROTOCOLS[kind], *parse_endpoint(name)), columns
    if columns[:1] == ["IPv6"]:
        return FwmarkKey(Family.IPV6, parse_mark(name)), columns[1:]
    return FwmarkKey(Family.IPV4, parse_mark(name)), columns


def _numbers(columns: list[str]) -> Numbers:
    return tuple(map(int, columns)) if all(column.isdecimal() for column in columns) else ()


def parse_timeouts(text: str) -> Timeouts:
    """Parse the output of ``-Ln --timeout``.

    Raises:
        MalformedMessage: It is not in ipvsadm's format.
    """
    found = _TIMEOUTS.fullmatch(text)
    if not found:
        raise MalformedMessage(f"ipvsadm -Ln --timeout printed {text!r}")
    return Timeouts(*map(int, found.groups()))
