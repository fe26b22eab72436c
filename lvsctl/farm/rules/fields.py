"""Rules for single fields, which several kinds of objects have."""

import re
from collections.abc import Sequence

from lvsctl.errors import Problem
from lvsctl.net import IPAddress
from lvsctl.unicast import why_not_unicast

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_NAME = re.compile(NAME_PATTERN)
NAME_ALLOWED = "1 to 63 letters, digits, '.', '_', '-', with a letter or digit at both ends"

MAX_WEIGHT = 65535
MAX_THRESHOLD = 0xFFFFFFFF


def name_problems(name: str) -> Sequence[Problem]:
    """Return what is wrong with the name of an object."""
    if _NAME.fullmatch(name):
        return ()
    return (Problem("/name", f"{name!r} is not a name", NAME_ALLOWED),)


def unicast_problems(pointer: str, address: IPAddress) -> Sequence[Problem]:
    """Return why a host cannot have the address at a pointer."""
    nature = why_not_unicast(address)
    if not nature:
        return ()
    return (Problem(pointer, f"{address} is {nature}", "an address that hosts can route to"),)


def range_problems(pointer: str, value: int, low: int, high: int) -> Sequence[Problem]:
    """Return what is wrong with the number at a pointer, which has limits."""
    if low <= value <= high:
        return ()
    return (Problem(pointer, f"{value} is out of range", f"{low} to {high}"),)
