"""The Linux host keeps the contract of Host, in network namespaces of a real kernel."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.lab import namespaces
from deploy.lab.node import Node
from lvsctl.host.boot import boot_id
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    FouPortConfig,
    FouPortKey,
    Host,
    HostChange,
    LinkConfig,
    LinkKey,
    SysctlConfig,
)
from lvsctl.host.linux import LinuxHost
from lvsctl.net import Family
from lvsctl.results import Failed
from tests.contract.host_contract import ETH0, TUNL0, VIP, HostContract, conf, link, refusal
from tests.contract.host_tunnels_contract import HostTunnelsContract

ALL_RP_FILTER = conf("all", "rp_filter")
FOU_PORT = FouPortKey(Family.IPV4, 6080)
VIP_ON_LO = AddressKey("lo", VIP.address)


@contextlib.contextmanager
def fresh_namespace() -> Iterator[LinuxHost]:
    """Be in a new network namespace."""
    namespace = namespaces.create("fresh")
    try:
        with namespaces.inside(namespace):
            host = LinuxHost()
            yield host
            host.close()
    finally:
        namespaces.remove_name("fresh")
        namespace.close()


class TestLinuxHost(HostContract, HostTunnelsContract):
    @pytest.fixture
    def host(self) -> Iterator[LinuxHost]:
        with fresh_namespace() as host:
            yield host

    @contextlib.contextmanager
    def another_socket(self, host: Host, key: FouPortKey) -> Iterator[object]:  # noqa: ARG002
        with socket.socket(key.family, socket.SOCK_DGRAM) as other:
            if key.family is Family.IPV6:
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            other.bind(("", key.port))
            yield other


def test_a_namespace_without_fallback_devices() -> None:
    """The refusal says what keeps the device out."""
    setting = Path("/proc/sys/net/core/fb_tunnels_only_for_init_net")
    found = setting.read_text()
    setting.write_text("2")
    try:
        with fresh_namespace() as host:
            (result,) = host.apply([HostChange(TUNL0, LinkConfig("ipip", up=True))])
            assert isinstance(result, Failed)
            assert "fb_tunnels_only_for_init_net" in result.message
            assert "ENODEV" == refusal(host, TUNL0, LinkConfig("ipip", up=True))
    finally:
        setting.write_text(found)


def test_each_thread_has_its_own_namespace(node: Callable[[str], Node]) -> None:
    """Links and sysctls, /proc included, are those of the thread that made the host."""
    rs1 = node("rs1")
    seen: list[object] = []

    def elsewhere() -> None:
        with rs1.enter():
            host = LinuxHost()
            host.apply([HostChange(ETH0, link()), HostChange(ALL_RP_FILTER, SysctlConfig("2"))])
            seen.extend(
                [boot_id(), ETH0.name in host.links(), *host.observe([ALL_RP_FILTER]).values()]
            )
            host.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    here = LinuxHost()
    with contextlib.closing(here):
        assert [True, SysctlConfig("2")] == seen[1:]
        assert boot_id() != seen[0]
        assert ETH0.name not in here.links()
        assert SysctlConfig("2") != here.observe([ALL_RP_FILTER])[ALL_RP_FILTER]


def test_without_privileges_nothing_is_changed(node: Callable[[str], Node]) -> None:
    """Looking is allowed to everybody; each change is refused with the kernel's reason."""
    rs1 = node("rs1")

    def as_nobody() -> None:
        os.setuid(65534)
        host = LinuxHost()
        before = host.observe([LinkKey("lo"), ALL_RP_FILTER])
        assert "EPERM" == refusal(host, LinkKey("lo"), LinkConfig("", up=False))
        assert "EPERM" == refusal(host, VIP_ON_LO, AddressConfig())
        assert "EPERM" == refusal(host, FOU_PORT, FouPortConfig())
        assert "EACCES" == refusal(host, ALL_RP_FILTER, SysctlConfig("1"))
        assert before == host.observe([LinkKey("lo"), ALL_RP_FILTER])

    assert 0 == rs1.fork(as_nobody, "nobody").wait(30)
