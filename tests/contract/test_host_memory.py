"""The host in memory keeps the contract of Host."""

import pytest

from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.memory import MemoryHost
from lvsctl.host.protocol import LinkConfig
from tests.contract.host_contract import TUNL0, HostContract, refusal


class TestMemoryHost(HostContract):
    @pytest.fixture
    def host(self) -> MemoryHost:
        return MemoryHost()


def test_fallback_device_that_does_not_come() -> None:
    """Where the namespace gets no fallback devices, the refusal says why."""
    host = MemoryHost(loadable=FALLBACK_DEVICES.keys() - {"tunl0"})
    assert "ENODEV" == refusal(host, TUNL0, LinkConfig("ipip", up=True))
