"""Choosing a backend."""

import pytest

from lvsctl.errors import ConfigurationError
from lvsctl.ipvs.factory import open_ipvs
from lvsctl.ipvs.memory import MemoryIpvs


def test_memory_is_taken_only_when_asked_for() -> None:
    """By name."""
    assert isinstance(open_ipvs("memory"), MemoryIpvs)


def test_an_unknown_choice_is_refused_with_what_is_allowed() -> None:
    """The flag, what it said, and what it may say."""
    with pytest.raises(ConfigurationError, match=r"--ipvs 'nftables'.*auto, netlink, ipvsadm"):
        open_ipvs("nftables")
