"""The contract of Host for tunnels."""

from contextlib import AbstractContextManager
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface

import pytest

from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    FouPortConfig,
    FouPortKey,
    Host,
    LinkConfig,
    LinkKey,
)
from lvsctl.host.tunnel_kinds import describe
from lvsctl.net import Family
from lvsctl.results import Failed
from tests.contract.host_contract import RIP, done, link, observed, put, refusal

RIP6 = AddressKey("eth0", ip_interface("2001:db8:1::11/64"))
HERE, THERE = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.10")
HERE6, THERE6 = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::10")
T0, T1 = LinkKey("t0"), LinkKey("t1")
GUE, IPIP_IN_UDP = FouPortConfig(), FouPortConfig(gue=False, protocol=4)
PORTS = (FouPortKey(Family.IPV4, 6080), FouPortKey(Family.IPV6, 6080))
OUTER6 = ("ip6tnl", "ip6gre")


def tunnel(kind: str, **changes: object) -> LinkConfig:
    ends = (HERE6, THERE6) if kind in OUTER6 else (HERE, THERE)
    given = {"kind": kind, "up": True, "local": ends[0], "remote": ends[1], **changes}
    return LinkConfig(**given)  # type: ignore[arg-type]


def named(value: object) -> str | None:
    links = value if isinstance(value, tuple) else (value,)
    return " and ".join(describe(link) for link in links if isinstance(link, LinkConfig)) or None


class HostTunnelsContract:
    """Subclasses provide a fixture ``host``: a fresh network namespace with only ``lo``."""

    def another_socket(self, host: Host, key: FouPortKey) -> AbstractContextManager[object]:
        """Let another program use a UDP port."""
        raise NotImplementedError

    @pytest.fixture
    def ends(self, host: Host) -> Host:
        """Add a device with an address of each family."""
        done(host, LinkKey("eth0"), link())
        done(host, RIP, AddressConfig())
        done(host, RIP6, AddressConfig(nodad=True))
        return host

    @pytest.mark.parametrize(
        ("wanted", "mtu"),
        [
            (tunnel("ipip"), 1480),
            (tunnel("ipip", remote=None), 1480),
            (tunnel("ipip", underlay="eth0", ttl=64), 1480),
            (tunnel("ipip", mtu=1400), 1400),
            (tunnel("gre"), 1476),
            (tunnel("gre", remote=None), 1476),
            (tunnel("gre", key=0), 1472),
            (tunnel("gre", key=2**32 - 1), 1472),
            (tunnel("gre", remote=None, checksum=True), 1472),
            (tunnel("gre", key=5, checksum=True, ttl=1, underlay="eth0"), 1468),
            (tunnel("gretap"), 1462),
            (tunnel("gretap", key=5, checksum=True, ttl=255, underlay="eth0"), 1454),
            (tunnel("sit"), 1480),
            (tunnel("sit", remote=None, ttl=64), 1480),
            (tunnel("ip6tnl"), 1452),
            (tunnel("ip6tnl", remote=None), 1452),
            (tunnel("ip6tnl", remote=None, any_protocol=True), 1452),
            (tunnel("ip6tnl", any_protocol=True, underlay="eth0", ttl=64), 1452),
            (tunnel("ip6gre"), 1448),
            (tunnel("ip6gre", remote=None, checksum=True), 1444),
            (tunnel("ip6gre", key=5, checksum=True, ttl=64, underlay="eth0"), 1440),
        ],
        ids=named,
    )
    def test_tunnel_of_every_kind(self, ends: Host, wanted: LinkConfig, mtu: int) -> None:
        """It is observed as requested, with an MTU that leaves room for its header."""
        for up in (True, False, True):
            for _ in range(2):
                done(ends, T0, replace(wanted, up=up))
                assert replace(wanted, up=up, mtu=mtu) == observed(ends, T0)
        for _ in range(2):
            done(ends, T0, None)
            assert observed(ends, T0) is None

    @pytest.mark.parametrize("kind", ["ipip", "gre", "gretap", "sit", "ip6tnl", "ip6gre"])
    def test_initial_mtu_of_a_tunnel(self, ends: Host, kind: str) -> None:
        """The MTU of its underlay device minus its header."""
        done(ends, T0, tunnel(kind, mtu=None))
        before = observed(ends, T0)
        done(ends, T0, None)
        done(ends, LinkKey("eth0"), link(mtu=1400))
        done(ends, T0, tunnel(kind))
        after = observed(ends, T0)
        assert isinstance(before, LinkConfig)
        assert isinstance(after, LinkConfig)
        assert (before.mtu or 0) - 100 == after.mtu

    @pytest.mark.parametrize(
        ("present", "wanted"),
        [
            (tunnel("ipip"), tunnel("ipip", remote=None)),
            (tunnel("ipip"), tunnel("ipip", ttl=64)),
            (tunnel("ipip"), tunnel("ipip", underlay="eth0")),
            (tunnel("ipip"), tunnel("gre")),
            (tunnel("gre"), tunnel("gre", key=5)),
            (tunnel("gre", key=5), tunnel("gre", key=6)),
            (tunnel("gre", checksum=True), tunnel("gre")),
            (tunnel("ip6tnl"), tunnel("ip6tnl", any_protocol=True)),
            (tunnel("ip6gre"), tunnel("ip6gre", checksum=True)),
        ],
        ids=named,
    )
    def test_tunnel_whose_name_is_in_use(
        self, ends: Host, present: LinkConfig, wanted: LinkConfig
    ) -> None:
        """Only state and MTU are changed in place; the error names the existing device."""
        done(ends, T0, present)
        result = put(ends, T0, wanted)
        assert isinstance(result, Failed)
        assert f"t0 is there already, as {present.kind}" in result.message
        assert "EEXIST" == refusal(ends, T0, wanted)

    @pytest.mark.parametrize(
        "tunnels",
        [
            (tunnel("ipip"), tunnel("ipip", ttl=64)),
            (tunnel("gre"), tunnel("gre", checksum=True)),
            (tunnel("gre", key=5), tunnel("gre", key=5, checksum=True)),
            (tunnel("gretap", key=5), tunnel("gretap", key=5)),
            (tunnel("sit", remote=None), tunnel("sit", remote=None)),
            (tunnel("ip6tnl"), tunnel("ip6tnl", any_protocol=True)),
            (tunnel("ip6gre", key=5), tunnel("ip6gre", key=5)),
        ],
        ids=named,
    )
    def test_tunnels_that_cannot_be_told_apart(
        self, ends: Host, tunnels: tuple[LinkConfig, LinkConfig]
    ) -> None:
        """Same kind, ends, underlay and key: the error names the existing one."""
        done(ends, T0, tunnels[0])
        result = put(ends, T1, tunnels[1])
        assert isinstance(result, Failed)
        assert "t0 has its ends already" in result.message
        assert "EEXIST" == refusal(ends, T1, tunnels[1])
        assert observed(ends, T1) is None

    @pytest.mark.parametrize(
        "tunnels",
        [
            (tunnel("gre", key=5), tunnel("gre", key=6)),
            (tunnel("gre"), tunnel("gre", key=0)),
            (tunnel("gre"), tunnel("gretap")),
            (tunnel("ipip"), tunnel("gre")),
            (tunnel("ipip"), tunnel("ipip", remote=None)),
            (tunnel("ipip"), tunnel("ipip", underlay="eth0")),
            (tunnel("ip6gre", key=5), tunnel("ip6gre", key=6)),
        ],
        ids=named,
    )
    def test_tunnels_side_by_side(self, ends: Host, tunnels: tuple[LinkConfig, LinkConfig]) -> None:
        """They differ in kind, end, underlay or key."""
        done(ends, T0, tunnels[0])
        done(ends, T1, tunnels[1])
        seen = [observed(ends, key) for key in (T0, T1)]
        assert list(tunnels) == [
            replace(config, mtu=None) for config in seen if isinstance(config, LinkConfig)
        ]

    @pytest.mark.parametrize("kind", ["ipip", "gre", "sit", "ip6tnl", "ip6gre"])
    def test_tunnel_without_ends(self, ends: Host, kind: str) -> None:
        """Refused, as that is the fallback device."""
        assert "EEXIST" == refusal(ends, T0, LinkConfig(kind, up=True))

    @pytest.mark.parametrize(
        ("name", "kind", "mtu"),
        [
            ("tunl0", "ipip", 1480),
            ("gre0", "gre", 1476),
            ("sit0", "sit", 1480),
            ("ip6tnl0", "ip6tnl", 1452),
            ("ip6gre0", "ip6gre", 1448),
        ],
    )
    def test_fallback_device_of_every_kind(
        self, host: Host, name: str, kind: str, mtu: int
    ) -> None:
        """It appears with its module; only state and MTU can be set."""
        key = LinkKey(name)
        for up in (True, False):
            done(host, key, LinkConfig(kind, up=up))
            assert LinkConfig(kind, up=up, mtu=mtu) == observed(host, key)

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (tunnel("ipip", underlay="eth7"), "ENODEV"),
            (tunnel("ipip", key=5), "EINVAL"),
            (tunnel("sit", checksum=True), "EINVAL"),
            (tunnel("gre", key=-1), "EINVAL"),
            (tunnel("gre", key=2**32), "EINVAL"),
            (tunnel("gre", ttl=0), "EINVAL"),
            (tunnel("gre", ttl=256), "EINVAL"),
            (tunnel("gre", any_protocol=True), "EINVAL"),
            (tunnel("gre", local=HERE6, remote=THERE6), "EINVAL"),
            (tunnel("ip6tnl", local=HERE, remote=None), "EINVAL"),
            (tunnel("dummy"), "EINVAL"),
        ],
        ids=named,
    )
    def test_tunnel_that_is_refused(self, ends: Host, wanted: LinkConfig, expected: str) -> None:
        """Missing underlay, ends of the other family, options that the kind does not have."""
        assert expected == refusal(ends, T0, wanted)
        assert observed(ends, T0) is None

    # Fou ports

    @pytest.mark.parametrize("key", PORTS, ids=str)
    @pytest.mark.parametrize(
        "config",
        [GUE, IPIP_IN_UDP, FouPortConfig(gue=False, protocol=41)],
        ids=["gue", "ipip", "ip6"],
    )
    def test_fou_port_is_opened_and_closed(
        self, host: Host, key: FouPortKey, config: FouPortConfig
    ) -> None:
        """Both are idempotent."""
        assert observed(host, key) is None
        for _ in range(2):
            done(host, key, config)
            assert config == observed(host, key)
        for _ in range(2):
            done(host, key, None)
            assert observed(host, key) is None

    def test_fou_ports_side_by_side(self, host: Host) -> None:
        """Ports of different families and numbers are independent."""
        wanted = {
            PORTS[0]: GUE,
            PORTS[1]: IPIP_IN_UDP,
            FouPortKey(Family.IPV4, 1): IPIP_IN_UDP,
            FouPortKey(Family.IPV6, 65535): GUE,
        }
        for key, config in wanted.items():
            done(host, key, config)
        assert wanted == host.observe(wanted)
        done(host, PORTS[0], None)
        assert {**wanted, PORTS[0]: None} == host.observe(wanted)

    @pytest.mark.parametrize("key", PORTS, ids=str)
    def test_fou_port_with_another_encapsulation(self, host: Host, key: FouPortKey) -> None:
        """It cannot be changed in place."""
        done(host, key, IPIP_IN_UDP)
        result = put(host, key, GUE)
        assert isinstance(result, Failed)
        assert f"{key} is there already, as ipproto 4" == result.message
        assert "EEXIST" == refusal(host, key, GUE)
        assert IPIP_IN_UDP == observed(host, key)

    @pytest.mark.parametrize("key", PORTS, ids=str)
    def test_fou_port_in_use_by_a_program(self, host: Host, key: FouPortKey) -> None:
        """Refused; the error says how to find the program."""
        with self.another_socket(host, key):
            result = put(host, key, GUE)
            assert isinstance(result, Failed)
            assert "another socket on this host has UDP port 6080" in result.message
            assert "EADDRINUSE" == refusal(host, key, GUE)
            assert observed(host, key) is None

    @pytest.mark.parametrize(
        ("port", "config"),
        [
            (0, GUE),
            (65536, GUE),
            (6080, FouPortConfig(gue=True, protocol=4)),
            (6080, FouPortConfig(gue=False)),
            (6080, FouPortConfig(gue=False, protocol=256)),
        ],
    )
    def test_fou_port_that_is_refused(self, host: Host, port: int, config: FouPortConfig) -> None:
        """The kernel would accept port 0, and a direct port that never decapsulates."""
        key = FouPortKey(Family.IPV4, port)
        assert "EINVAL" == refusal(host, key, config)
        assert observed(host, key) is None
