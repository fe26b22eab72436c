"""The host in memory fulfils the contract of Host."""

from contextlib import AbstractContextManager, nullcontext

import pytest

from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import FouPortKey, Host, LinkConfig
from lvsctl.host.memory import MemoryHost
from tests.contract.host_contract import TUNL0, HostContract, refusal
from tests.contract.host_tunnels_contract import HostTunnelsContract


class TestMemoryHost(HostContract, HostTunnelsContract):
    @pytest.fixture
    def host(self) -> MemoryHost:
        return MemoryHost()

    def another_socket(self, host: Host, key: FouPortKey) -> AbstractContextManager[object]:
        assert isinstance(host, MemoryHost)
        host.take_port(key)
        return nullcontext()


def test_fallback_device_that_does_not_appear() -> None:
    """If the namespace gets no fallback devices, the error says why."""
    host = MemoryHost(loadable=FALLBACK_DEVICES.keys() - {"tunl0"})
    assert "ENODEV" == refusal(host, TUNL0, LinkConfig("ipip", up=True))
