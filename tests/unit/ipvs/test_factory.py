"""The option ``--ipvs``."""

import pytest

from lvsctl.errors import ConfigurationError
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.memory import MemoryIpvs


def test_memory_is_used_if_named() -> None:
    """``auto`` never takes it."""
    assert isinstance(open_ipvs("memory"), MemoryIpvs)


def test_an_unknown_choice_is_refused() -> None:
    """The error names the option, the value and what is allowed."""
    with pytest.raises(ConfigurationError, match=r"--ipvs 'nftables'.*auto, netlink, ipvsadm"):
        open_ipvs("nftables")
