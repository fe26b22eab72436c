"""What the table in memory has beyond the contract of all backends."""

from ipaddress import IPv4Address

from lvsctl.ipvs.memory import MemoryIpvs, MemoryKernel
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
RS1 = DestinationKey(IPv4Address("192.0.2.11"), 80)


def test_two_instances_share_a_kernel() -> None:
    """A restarted director finds the table as the first one left it."""
    kernel = MemoryKernel()
    one, other = MemoryIpvs(kernel), MemoryIpvs(kernel)
    one.apply([AddService(WEB, VirtualServiceConfig("rr"))])
    one.close()
    assert [WEB] == list(other.snapshot())


def test_a_snapshot_does_not_change() -> None:
    """Later operations do not affect it."""
    ipvs = MemoryIpvs()
    ipvs.apply(
        [
            AddService(WEB, VirtualServiceConfig("rr")),
            AddDestination(WEB, RS1, DestinationConfig(1)),
        ]
    )
    before = ipvs.snapshot()
    ipvs.apply([EditDestination(WEB, RS1, DestinationConfig(2))])
    assert DestinationConfig(1) == before[WEB].destinations[RS1]


def test_it_prints_itself_as_ipvsadm_would() -> None:
    """So that the output of a failing test is familiar."""
    ipvs = MemoryIpvs()
    ipvs.apply(
        [
            AddService(WEB, VirtualServiceConfig("rr")),
            AddDestination(WEB, RS1, DestinationConfig(1)),
        ]
    )
    assert str(ipvs) == (
        "-A -t 198.51.100.10:80 -s rr\n"
        "-a -t 198.51.100.10:80 -r 192.0.2.11:80 -i -w 1 --tun-type ipip\n"
    )
