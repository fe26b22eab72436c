"""Clients of HTTP never take what probes and the kernel need."""

import resource
import subprocess
import sys

import pytest

from lvsctl.director.descriptors import RESERVED, reserved_descriptors
from lvsctl.health.prober import CONNECTIONS

RAISE = (
    "from lvsctl.director.descriptors import raise_descriptor_limit; "
    "import resource; print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limited = ["sh", "-c", 'ulimit -Sn 128; exec "$@"', "sh", sys.executable, "-c", RAISE]
    printed = subprocess.run(limited, capture_output=True, text=True, check=True).stdout
    assert f"{hard} {hard} {hard}\n" == printed


@pytest.mark.parametrize("limit", [64, 256, 1024, 65536])
def test_clients_get_at_most_half_unless_there_is_plenty(limit: int) -> None:
    """All probes that may be under way have theirs, where the limit allows it."""
    reserved = reserved_descriptors(limit)
    assert limit - reserved >= limit // 2
    assert reserved >= min(CONNECTIONS, limit // 2)


def test_what_is_reserved_does_not_grow_with_the_limit() -> None:
    assert RESERVED == reserved_descriptors(2**30)
