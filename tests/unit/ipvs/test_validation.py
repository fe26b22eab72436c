"""Operations that are refused whatever the backend, and unusual ones that are not."""

import errno
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditService,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    Operation,
    Persistence,
    ServiceFlag,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.ipvs.validation import validate
from lvsctl.net import Family, IpProtocol

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
WEB6 = AddressKey(IpProtocol.TCP, IPv6Address("2001:db8::10"), 80)
RIP = DestinationKey(IPv4Address("192.0.2.11"), 80)
RIP6 = DestinationKey(IPv6Address("2001:db8::11"), 80)
RR = VirtualServiceConfig("rr")
ONE = DestinationConfig(1)
DIRECT = DestinationConfig(1, ForwardingMethod.DIRECT_ROUTE, None)


def persistent(timeout_s: int = 300, prefix_length: int = 32, engine: str = "") -> Operation:
    return AddService(WEB, replace(RR, persistence=Persistence(timeout_s, prefix_length, engine)))


def tunnel(kind: TunnelType, port: int = 0, flags: int = 0) -> Operation:
    encapsulation = Encapsulation(kind, port, TunnelFlag(flags))
    return AddDestination(WEB, RIP, DestinationConfig(1, encapsulation=encapsulation))


REFUSED: dict[str, tuple[Operation, int]] = {
    "a port beyond 65535": (AddService(replace(WEB, port=65536), RR), errno.ERANGE),
    "a negative port": (DeleteService(replace(WEB, port=-1)), errno.ERANGE),
    "mark 0, which would be a service on 0.0.0.0:0": (
        AddService(FwmarkKey(Family.IPV4, 0), RR),
        errno.ERANGE,
    ),
    "a mark beyond 32 bits": (DeleteService(FwmarkKey(Family.IPV4, 2**32)), errno.ERANGE),
    "port 0 without persistence": (AddService(replace(WEB, port=0), RR), errno.EINVAL),
    "one-packet scheduling of TCP": (
        EditService(WEB, replace(RR, flags=ServiceFlag.ONE_PACKET)),
        errno.EINVAL,
    ),
    "a third flag of mh": (
        AddService(WEB, VirtualServiceConfig("mh", ServiceFlag.SCHED3)),
        errno.EINVAL,
    ),
    "a scheduler without a name": (AddService(WEB, VirtualServiceConfig("")), errno.EINVAL),
    "a scheduler of two words": (AddService(WEB, VirtualServiceConfig("r r")), errno.EINVAL),
    "a scheduler longer than 15 letters": (
        AddService(WEB, VirtualServiceConfig("a" * 16)),
        errno.EINVAL,
    ),
    "an engine of two lines": (persistent(engine="sip\n-C"), errno.EINVAL),
    "a persistence timeout of 0": (persistent(timeout_s=0), errno.ERANGE),
    "a persistence beyond 31 days": (persistent(timeout_s=2678401), errno.ERANGE),
    "a netmask beyond 32": (persistent(prefix_length=33), errno.ERANGE),
    "a netmask that is not contiguous": (persistent(prefix_length=-1), errno.ERANGE),
    "an IPv6 netmask of 0": (
        AddService(WEB6, replace(RR, persistence=Persistence(300, 0))),
        errno.ERANGE,
    ),
    "a VIP with a zone": (
        AddService(replace(WEB, vip=IPv6Address("fe80::1%eth0")), RR),
        errno.EINVAL,
    ),
    "a RIP with a zone": (
        DeleteDestination(WEB6, replace(RIP6, address=IPv6Address("fe80::1%eth0"))),
        errno.EINVAL,
    ),
    "a negative weight": (AddDestination(WEB, RIP, replace(ONE, weight=-1)), errno.ERANGE),
    "a weight beyond 65535": (AddDestination(WEB, RIP, replace(ONE, weight=65536)), errno.ERANGE),
    "a negative threshold": (
        AddDestination(WEB, RIP, replace(ONE, upper_threshold=-1)),
        errno.ERANGE,
    ),
    "a threshold beyond 31 bits": (
        AddDestination(WEB, RIP, replace(ONE, upper_threshold=2**31, lower_threshold=1)),
        errno.ERANGE,
    ),
    "local delivery": (
        AddDestination(WEB, RIP, DestinationConfig(1, ForwardingMethod.LOCAL, None)),
        errno.EINVAL,
    ),
    "bypass": (
        AddDestination(WEB, RIP, DestinationConfig(1, ForwardingMethod.BYPASS, None)),
        errno.EINVAL,
    ),
    "a tunnel without an encapsulation": (
        AddDestination(WEB, RIP, replace(ONE, encapsulation=None)),
        errno.EINVAL,
    ),
    "direct routing in a tunnel": (
        AddDestination(WEB, RIP, replace(DIRECT, encapsulation=Encapsulation())),
        errno.EINVAL,
    ),
    "GUE without a port": (tunnel(TunnelType.GUE), errno.ERANGE),
    "GRE with a port": (tunnel(TunnelType.GRE, 6080), errno.EINVAL),
    "GRE with a remote checksum": (tunnel(TunnelType.GRE, 0, 2), errno.EINVAL),
    "IPIP with a checksum": (tunnel(TunnelType.IPIP, 0, 1), errno.EINVAL),
    "GUE with both checksums": (tunnel(TunnelType.GUE, 6080, 3), errno.EINVAL),
    "direct routing to the other family": (AddDestination(WEB, RIP6, DIRECT), errno.EINVAL),
    "a tunnel to another port": (AddDestination(WEB, replace(RIP, port=8080), ONE), errno.EINVAL),
    "direct routing to another port": (
        AddDestination(WEB, replace(RIP, port=8080), DIRECT),
        errno.EINVAL,
    ),
    "a timeout beyond 31 days": (SetTimeouts(Timeouts(2678401, 0, 0)), errno.ERANGE),
    "a negative timeout": (SetTimeouts(Timeouts(0, -1, 0)), errno.ERANGE),
}
ALLOWED: dict[str, Operation] = {
    "masquerading to another port": AddDestination(
        WEB, replace(RIP, port=8080), DestinationConfig(1, ForwardingMethod.MASQUERADE, None)
    ),
    "a tunnel to the other family": AddDestination(WEB, RIP6, ONE),
    "a tunnel to any port under a mark": AddDestination(
        FwmarkKey(Family.IPV4, 1), replace(RIP, port=8080), ONE
    ),
    "deleting what another tool put on another port": DeleteDestination(
        WEB, replace(RIP, port=8080)
    ),
    "one-packet scheduling under a mark": AddService(
        FwmarkKey(Family.IPV4, 1), replace(RR, flags=ServiceFlag.ONE_PACKET)
    ),
    "persistence for all clients together": persistent(prefix_length=0),
    "every port with persistence": AddService(
        replace(WEB, port=0), replace(RR, persistence=Persistence(300, 32))
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused(what: str) -> None:
    """With a message and the errno that fits."""
    operation, number = REFUSED[what]
    refused = validate(operation)
    assert refused is not None
    assert refused.errno == number
    assert refused.message


@pytest.mark.parametrize("what", ALLOWED)
def test_is_allowed(what: str) -> None:
    """Unusual but meaningful operations pass."""
    assert validate(ALLOWED[what]) is None
