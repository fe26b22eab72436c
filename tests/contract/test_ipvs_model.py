"""Random operations: netlink and ipvsadm give the same results and tables as memory."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.lab.node import Node
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.ipvsadm import IpvsadmIpvs
from lvsctl.ipvs.memory import DEFAULT_TIMEOUTS, MemoryIpvs
from lvsctl.ipvs.netlink import NetlinkIpvs
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteService,
    EditDestination,
    EditService,
    FwmarkKey,
    Operation,
    ServiceKey,
    SetTimeouts,
)
from lvsctl.net import Family, IpProtocol
from tests.unit.ipvs import strategies

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

# Few, so that operations meet; near each other, as ipvsadm's order breaks over 2**31 apart.
SERVICES: list[ServiceKey] = [
    AddressKey(IpProtocol.TCP, ip_address("198.51.100.10"), 80),
    AddressKey(IpProtocol.UDP, ip_address("198.51.100.10"), 80),
    AddressKey(IpProtocol.TCP, ip_address("2001:db8::10"), 80),
    FwmarkKey(Family.IPV4, 7),
    FwmarkKey(Family.IPV6, 7),
]
RIPS = list(map(ip_address, ["192.0.2.11", "192.0.2.12", "2001:db8::11", "224.0.0.1", "fe80::1"]))
WRONG_NAMES = st.sampled_from(["nosuch", "", "a b"])


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Draw an operation, sometimes an invalid one."""
    operation = draw(strategies.operations(st.sampled_from(SERVICES), st.sampled_from(RIPS)))
    if draw(st.integers(0, 9)):
        return operation
    match operation:
        case AddService(config=config) | EditService(config=config):
            return replace(operation, config=replace(config, scheduler=draw(WRONG_NAMES)))
        case AddDestination(config=config) | EditDestination(config=config):
            wrong = draw(
                st.sampled_from(
                    [
                        replace(config, upper_threshold=1, lower_threshold=2),
                        replace(config, weight=70000),
                        replace(config, weight=-1),
                        replace(config, encapsulation=None),
                    ]
                )
            )
            return replace(operation, config=wrong)
    return operation


calls = st.lists(st.lists(operations(), max_size=16), min_size=1, max_size=3)


@pytest.fixture
def kernel(node: Callable[[str], Node]) -> Iterator[None]:
    with node("lb1").enter():
        yield


def emptied(ipvs: Ipvs) -> Ipvs:
    ipvs.apply([*map(DeleteService, ipvs.snapshot()), SetTimeouts(DEFAULT_TIMEOUTS)])
    return ipvs


def saved() -> str:
    return subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=True).stdout


def agrees_with_memory(ipvs: Ipvs, sequence: list[list[Operation]]) -> None:
    model = MemoryIpvs()
    for call in sequence:
        assert list(model.apply(call)) == list(ipvs.apply(call))
        assert model.snapshot() == ipvs.snapshot() == dict(ipvs.sweep().services)
        assert model.timeouts() == ipvs.timeouts()
    some = SERVICES[:3]
    assert model.snapshot(some) == ipvs.snapshot(some)
    assert model.counters() == ipvs.counters()
    assert str(model) == saved()


a_kernel_for_all = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.usefixtures("kernel")
@settings(max_examples=40, deadline=None, suppress_health_check=a_kernel_for_all)
@given(sequence=calls)
def test_netlink_agrees_with_memory(sequence: list[list[Operation]]) -> None:
    """Result by result, snapshot by snapshot, and in what `ipvsadm -Sn` prints."""
    ipvs = NetlinkIpvs()
    try:
        agrees_with_memory(emptied(ipvs), sequence)
    finally:
        ipvs.close()


@pytest.mark.usefixtures("kernel")
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=a_kernel_for_all,
    phases=[Phase.generate],  # to shrink a failure takes minutes, with a program for each operation
)
@given(sequence=calls)
def test_ipvsadm_agrees_with_memory(sequence: list[list[Operation]]) -> None:
    """Result by result, snapshot by snapshot, and in what `ipvsadm -Sn` prints."""
    agrees_with_memory(emptied(IpvsadmIpvs()), sequence)
