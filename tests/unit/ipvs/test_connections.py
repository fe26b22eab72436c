"""The kernel's list of connections, as it writes it."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.connections import Connection, parse_connections

HEADING = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
V4 = "TCP CB007109 9C40 C633640A 0050 C000020B 0050 ESTABLISHED     899\n"
TEMPLATE = "TCP CB007100 0000 C633640A 0050 C000020B 0050 NONE            300\n"
OF_A_MARK = "IP  CB007109 0000 00000007 0000 C000020B 0000 NONE            300\n"
V6 = (
    "UDP 2001:0db8:0000:0000:0000:0000:0000:0001 0035 2001:0db8:0000:0000:0000:0000:0000:0002 "
    "0035 2001:0db8:0000:0000:0000:0000:0000:0003 0035 UDP             299\n"
)
MIXED = (
    "TCP CB007109 9C40 C633640A 0050 2001:0db8:0000:0000:0000:0000:0000:0003 0050 FIN_WAIT     "
    "    9 sip abc\n"
)

CLIENT, VIP, RIP = (IPv4Address(text) for text in ("203.0.113.9", "198.51.100.10", "192.0.2.11"))
RIP6 = IPv6Address("2001:db8::3")


def test_connections_of_each_kind() -> None:
    """Both families, mixed ones, templates of persistence, with and without an engine's data."""
    established = Connection("tcp", CLIENT, 40000, VIP, 80, RIP, 80, "ESTABLISHED", 899)
    expected = [
        established,
        Connection("tcp", IPv4Address("203.0.113.0"), 0, VIP, 80, RIP, 80, "NONE", 300),
        Connection("ip", CLIENT, 0, IPv4Address(7), 0, RIP, 0, "NONE", 300),
        Connection(
            *("udp", IPv6Address("2001:db8::1"), 53, IPv6Address("2001:db8::2"), 53),
            *(RIP6, 53, "UDP", 299),
        ),
        Connection("tcp", CLIENT, 40000, VIP, 80, RIP6, 80, "FIN_WAIT", 9),
    ]
    found = [*parse_connections([HEADING, V4, TEMPLATE, OF_A_MARK, V6, MIXED])]
    assert expected == found
    assert [False, True, True, False, False] == [each.is_template for each in found]


@pytest.mark.parametrize("line", ["", "TCP\n", V4.replace("9C40", "port"), V4[:40] + "\n"])
def test_what_is_no_connection_is_an_error(line: str) -> None:
    """With the line, as the format may have changed."""
    with pytest.raises(MalformedMessage, match="ip_vs_conn"):
        list(parse_connections([HEADING, line]))


def test_an_empty_table() -> None:
    """Has its heading, or not even that."""
    assert [] == [*parse_connections([HEADING])] == [*parse_connections([])]
