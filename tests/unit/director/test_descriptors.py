"""Clients of HTTP never take what probes and the kernel need."""

import resource
import subprocess
import sys

import pytest

from lvsctl.director.descriptors import (
    RESERVED,
    USEFUL,
    raise_descriptor_limit,
    reserved_descriptors,
)
from lvsctl.health.prober import MAX_PROBES

RAISE = (
    "import resource; from lvsctl.director.descriptors import raise_descriptor_limit as raise_; "
    "print(raise_(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
)


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(128, 4096, 4096), (128, 10**9, USEFUL), (10**6, 10**9, 10**6)]
)
def test_the_soft_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int
) -> None:
    """To the hard one, or as far as there is use for; the hard one stays."""
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert raised == raise_descriptor_limit()
    assert (raised, hard) == limits[-1]


def test_a_process_gets_what_it_asks_for() -> None:
    limited = ["sh", "-c", 'ulimit -Sn 128; exec "$@"', "sh", sys.executable, "-c", RAISE]
    printed = subprocess.run(limited, capture_output=True, text=True, check=True).stdout
    returned, soft = printed.split()
    assert 128 < int(returned) == int(soft)


@pytest.mark.parametrize("limit", [64, 256, 1024, 65536])
def test_clients_get_at_most_half_unless_there_is_plenty(limit: int) -> None:
    """All probes that may be under way have theirs, where the limit allows it."""
    reserved = reserved_descriptors(limit)
    assert limit - reserved >= limit // 2
    assert reserved >= min(MAX_PROBES, limit // 2)


def test_what_is_reserved_does_not_grow_with_the_limit() -> None:
    assert RESERVED == reserved_descriptors(2**30)
