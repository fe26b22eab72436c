"""Reads the kernel's counters from /proc/net."""

from collections.abc import Mapping
from pathlib import Path

from lvsctl.doctor.facts import Counters

PROC = Path("/proc/thread-self/net")
"""/proc/net is that of the process's main thread, which may be in another network namespace."""

DEVICE_COLUMNS: Mapping[str, int] = {
    "received": 1,
    "receive errors": 2,
    "receive drops": 3,
    "sent": 9,
    "transmit errors": 10,
    "transmit drops": 11,
}
"""Columns of /proc/net/dev."""


def read_counters(folder: Path = PROC) -> Counters:
    """Read all counters; a file that this kernel does not have contributes none."""
    values = {
        **parse_pairs(_text(folder / "snmp")),
        **parse_pairs(_text(folder / "netstat")),
        **parse_lines(_text(folder / "snmp6")),
    }
    return Counters(values, parse_devices(_text(folder / "dev")))


def parse_pairs(text: str) -> Mapping[str, int]:
    """Parse /proc/net/snmp or netstat: a line of names, then a line of values."""
    lines = text.splitlines()
    values: dict[str, int] = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        group, _, rest = names.partition(":")
        values |= {
            f"{group} {name}": int(number)
            for name, number in zip(rest.split(), numbers.split()[1:], strict=True)
        }
    return values


def parse_lines(text: str) -> Mapping[str, int]:
    """Parse /proc/net/snmp6: a name and a value per line."""
    return {f"Ip6 {name}": int(number) for name, number in map(str.split, text.splitlines())}


def parse_devices(text: str) -> Mapping[str, Mapping[str, int]]:
    """Parse /proc/net/dev: two header lines, then a line per device."""
    devices = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(number) for number in rest.split()]
        devices[name.strip()] = {what: numbers[column] for what, column in DEVICE_COLUMNS.items()}
    return devices


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
