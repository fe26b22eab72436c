"""The Linux host keeps the contract of Host, in network namespaces of a real kernel."""

from collections.abc import Iterator

import pytest

from deploy.lab import namespaces
from lvsctl.host.linux import LinuxHost
from tests.contract.host_contract import HostContract


class TestLinuxHost(HostContract):
    @pytest.fixture
    def host(self) -> Iterator[LinuxHost]:
        namespace = namespaces.create("contract")
        try:
            with namespaces.inside(namespace):
                host = LinuxHost()
                yield host
                host.close()
        finally:
            namespaces.remove_name("contract")
            namespace.close()
