"""Which addresses a host can have for its own."""

from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.unicast import broadcast_addresses, why_not_unicast


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.11", "198.51.100.10",
        "8.8.8.8", "fd00::1", "2001:db8::1", "2606:4700::1",
    ],
)  # fmt: skip
def test_private_and_public_ones_are_usable(text: str) -> None:
    """RFC 1918, RFC 4193 and what is routed."""
    assert "" == why_not_unicast(ip_address(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("::", "unspecified"), ("0.1.2.3", "this network"),
        ("127.0.0.1", "loopback"), ("127.255.0.1", "loopback"), ("::1", "loopback"),
        ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"), ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"), ("240.0.0.1", "reserved"), ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"), ("fec0::1", "site-local"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "zone"), ("2001:db8::1%eth0", "zone"),
    ],
)  # fmt: skip
def test_others_are_named(text: str, why: str) -> None:
    """By the most telling of their natures."""
    assert why in why_not_unicast(ip_address(text))


@given(st.ip_addresses())
def test_every_address_is_judged(address: object) -> None:
    """Whatever it is; what the standard library calls global and no multicast is usable."""
    why = why_not_unicast(address)  # type: ignore[arg-type]
    if address.is_global and not address.is_multicast:  # type: ignore[attr-defined]
        assert not why or address.is_reserved or address.ipv4_mapped  # type: ignore[attr-defined]


def test_broadcast_addresses_are_those_of_networks_with_several_hosts() -> None:
    """A /31, a /32 and IPv6 have none."""
    interfaces = ["192.0.2.11/24", "10.0.0.1/31", "10.0.0.9/32", "2001:db8::1/64"]
    found = dict(broadcast_addresses(("eth0", ip_interface(each)) for each in interfaces))
    assert {ip_address("192.0.2.0"), ip_address("192.0.2.255")} == found.keys()
    assert {"every host of 192.0.2.0/24 on eth0"} == {*found.values()}
