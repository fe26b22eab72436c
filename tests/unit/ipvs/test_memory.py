"""What the table in memory has beside the contract."""

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


def test_two_instances_look_at_one_kernel() -> None:
    """A director that is killed and started anew finds the table of the first."""
    kernel = MemoryKernel()
    one, other = MemoryIpvs(kernel), MemoryIpvs(kernel)
    one.apply([AddService(WEB, VirtualServiceConfig("rr"))])
    one.close()
    assert [WEB] == list(other.snapshot())


def test_a_snapshot_is_of_its_moment() -> None:
    """Later operations do not reach into it."""
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
    """For a failing test to be read by someone who knows LVS."""
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
