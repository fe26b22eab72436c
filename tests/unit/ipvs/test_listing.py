"""Parsing ``ipvsadm -Ln``; the texts are output of ipvsadm 1.31."""

from ipaddress import ip_address

import pytest

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.listing import Listed, parse_listing, parse_timeouts
from lvsctl.ipvs.table import AddressKey, DestinationKey, FwmarkKey, Timeouts
from lvsctl.net import Family, IpProtocol

STATS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
FWM  -1 IPv6                             0        0        0        0        0
  -> [2001:db8::1]:0                     0        0        0        0        0
UDP  198.51.100.10:53                  707      707        0 90496123456        0
  -> 192.0.2.11:53                     707      707        0 90496123456        0
?    198.51.100.10:80                    1        1        1        1        1
  -> 192.0.2.11:80                       1        1        1        1        1
FWM  5                                   0        0        0        0        0
"""
THRESHOLDS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
  -> RemoteAddress:Port
FWM  -1 IPv6 mh (mh-fallback,mh-port) persistent 60 mask 64
  -> [2001:db8::1]:0              0          0          0          0
TCP  198.51.100.10:80 rr
  -> [2001:db8::1]:80             10         5          0          0
TCP  250.0.0.1:53 mh ()
"""


def key(protocol: IpProtocol, vip: str, port: int) -> AddressKey:
    return AddressKey(protocol, ip_address(vip), port)


def at(address: str, port: int) -> DestinationKey:
    return DestinationKey(ip_address(address), port)


def test_counters_of_services_and_destinations_are_parsed() -> None:
    """A service of a protocol that IPVS does not balance is left out with its destinations."""
    traffic = (707, 707, 0, 90496123456, 0)
    assert parse_listing(STATS) == {
        FwmarkKey(Family.IPV6, 0xFFFFFFFF): Listed((0,) * 5, {at("2001:db8::1", 0): (0,) * 5}),
        key(IpProtocol.UDP, "198.51.100.10", 53): Listed(traffic, {at("192.0.2.11", 53): traffic}),
        FwmarkKey(Family.IPV4, 5): Listed((0,) * 5, {}),
    }


def test_a_service_without_numbers_has_none() -> None:
    """With --thresholds only destinations have numbers."""
    assert parse_listing(THRESHOLDS) == {
        FwmarkKey(Family.IPV6, 0xFFFFFFFF): Listed((), {at("2001:db8::1", 0): (0, 0, 0, 0)}),
        key(IpProtocol.TCP, "198.51.100.10", 80): Listed(
            (), {at("2001:db8::1", 80): (10, 5, 0, 0)}
        ),
        key(IpProtocol.TCP, "250.0.0.1", 53): Listed((), {}),
    }


@pytest.mark.parametrize(
    "line", ["TCP", "TCP 198.51.100.10 rr", "  -> 192.0.2.11:80 1 x", "IGMP 1.2.3.4:5 rr"]
)
def test_an_unknown_line_is_an_error_that_quotes_it(line: str) -> None:
    """It is neither guessed at nor skipped."""
    with pytest.raises(MalformedMessage) as raised:
        parse_listing(f"1\n2\n3\n{line}\n")
    assert repr(line) in str(raised.value)


def test_timeouts_are_parsed() -> None:
    """In the order tcp, tcpfin, udp."""
    assert Timeouts(900, 120, 300) == parse_timeouts("Timeout (tcp tcpfin udp): 900 120 300\n")


def test_missing_timeouts_are_an_error() -> None:
    """Ipvsadm prints nothing if the kernel does not answer."""
    with pytest.raises(MalformedMessage):
        parse_timeouts("")
