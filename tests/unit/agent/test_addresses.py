"""Which address a real server is known by."""

import asyncio
from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsctl.agent import addresses
from lvsctl.agent.addresses import real_server_address, resolve_host, source_address
from lvsctl.errors import ConfigurationError

OWN = {IPv4Address("192.0.2.11"), IPv4Address("127.0.0.1"), IPv4Address("203.0.113.5")}
UNREACHABLE = "http://no.such.host.invalid:8080"
HERE = "http://127.0.0.1:8080"


def test_the_given_one_is_taken() -> None:
    """Where it is this host's."""
    given = IPv4Address("192.0.2.11")
    assert given == real_server_address(given, None, UNREACHABLE, OWN)


def test_the_given_one_is_refused_with_those_there_are() -> None:
    """Loopback is no real server's."""
    with pytest.raises(ConfigurationError) as caught:
        real_server_address(IPv4Address("192.0.2.12"), None, UNREACHABLE, OWN)
    assert "192.0.2.12" in str(caught.value)
    assert "it has 192.0.2.11, 203.0.113.5" in str(caught.value)


@pytest.mark.parametrize("director", [UNREACHABLE, HERE])
def test_the_remembered_one_helps_out(director: str) -> None:
    """While the network is not up, or the director is on this host."""
    remembered = IPv4Address("192.0.2.11")
    assert remembered == real_server_address(None, remembered, director, OWN)
    for lost in (None, IPv4Address("192.0.2.12")):
        with pytest.raises(ConfigurationError, match="--address"):
            real_server_address(None, lost, director, OWN)


@pytest.mark.parametrize(
    ("director", "expected"),
    [
        (HERE, IPv4Address("127.0.0.1")),
        ("https://127.0.0.2", IPv4Address("127.0.0.1")),
        (UNREACHABLE, None),
        ("http://[::1", None),
        ("http://127.0.0.1:99999", None),
        ("nonsense", None),
    ],
)
def test_the_source_towards_a_director(director: str, expected: IPv4Address | None) -> None:
    """None where no route leads there or nothing is there to lead to."""
    assert expected == source_address(director)


def test_a_vip_is_not_where_packets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a name leads to a VIP of this host, the source is that VIP; the last run's serves."""
    vip, remembered = IPv4Address("198.51.100.10"), IPv4Address("192.0.2.11")
    monkeypatch.setattr(addresses, "source_address", lambda _: vip)
    assert remembered == real_server_address(None, remembered, "http://lb1", OWN)
    with pytest.raises(ConfigurationError, match="--address"):
        real_server_address(None, None, "http://lb1", OWN)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.10", {IPv4Address("192.0.2.10")}),
        ("fe80::1%lo", {IPv6Address("fe80::1")}),
        ("no.such.host.invalid", set()),
        ("no host", set()),
        ("x" * 300, set()),
    ],
)
def test_a_directors_addresses(host: str, expected: set[object]) -> None:
    """Those behind its name; none where nobody knows them."""
    assert expected == asyncio.run(resolve_host(host))
