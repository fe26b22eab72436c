"""IP addresses read from text. Pure."""

from ipaddress import IPv4Address, ip_address

from lvsctl.net import IPAddress

_OCTETS = {str(number): number for number in range(256)}


def parse_address(text: str) -> IPAddress:
    """Return the address that a text stands for, as :func:`ipaddress.ip_address` does.

    Four times as fast for IPv4 in its usual form: farms have ten thousands of addresses.

    Raises:
        ValueError: It stands for none.
    """
    try:
        a, b, c, d = [_OCTETS[part] for part in text.split(".")]
    except (KeyError, ValueError):
        return ip_address(text)
    return IPv4Address(a << 24 | b << 16 | c << 8 | d)
