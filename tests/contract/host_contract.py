"""The contract of Host; each implementation runs these tests in a fresh namespace."""

import errno
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

import pytest

from lvsctl.host.interface import (
    MAIN_TABLE,
    AddressConfig,
    AddressKey,
    Config,
    Host,
    HostChange,
    HostKey,
    LinkConfig,
    LinkKey,
    RouteConfig,
    RouteKey,
    RuleConfig,
    RuleKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.net import Family, family_of
from lvsctl.results import Done, Failed, Result, Skipped

ETH0 = LinkKey("eth0")
TUNL0 = LinkKey("tunl0")
VIP = AddressKey("eth0", ip_interface("198.51.100.10/32"))
VIP6 = AddressKey("eth0", ip_interface("2001:db8::10/128"))
RIP = AddressKey("eth0", ip_interface("192.0.2.11/24"))
TABLE = 100
SCOPE_LINK, SCOPE_HOST = 253, 254


def conf(device: str, parameter: str) -> SysctlKey:
    return SysctlKey(("net", "ipv4", "conf", device, parameter))


def link(**changes: object) -> LinkConfig:
    return LinkConfig(**{"kind": "dummy", "up": True, **changes})  # type: ignore[arg-type]


def observed(host: Host, key: HostKey) -> Config | None:
    return host.observe([key])[key]


def put(host: Host, key: HostKey, config: Config | None) -> Result:
    (result,) = host.apply([HostChange(key, config)])
    return result


def done(host: Host, key: HostKey, config: Config | None) -> None:
    assert Done() == put(host, key, config)


def refusal(host: Host, key: HostKey, config: Config | None) -> str:
    result = put(host, key, config)
    assert isinstance(result, Failed)
    assert result.message
    return errno.errorcode[result.errno]


class HostContract:
    """Subclasses provide a fixture ``host``: a fresh network namespace with only ``lo``."""

    @pytest.fixture
    def eth0(self, host: Host) -> Host:
        """Add a device that is up."""
        done(host, ETH0, link())
        return host

    @pytest.fixture
    def rs(self, eth0: Host) -> Host:
        """Add an address to the device."""
        done(eth0, RIP, AddressConfig())
        return eth0

    # Links

    def test_link_that_is_absent(self, host: Host) -> None:
        """It is observed as None, and removing it succeeds."""
        assert observed(host, ETH0) is None
        done(host, ETH0, None)

    def test_link_is_created_edited_and_removed(self, host: Host) -> None:
        """A device is created up or down, with the MTU of its kind or its own."""
        done(host, ETH0, link(up=False))
        assert link(up=False, mtu=1500) == observed(host, ETH0)
        done(host, ETH0, link(mtu=1400))
        assert link(mtu=1400) == observed(host, ETH0)
        done(host, ETH0, link(up=False))
        assert link(up=False, mtu=1400) == observed(host, ETH0)
        assert ["eth0"] == [name for name in host.links() if name == "eth0"]
        done(host, ETH0, None)
        assert observed(host, ETH0) is None
        assert "eth0" not in host.links()

    def test_link_set_to_its_present_state(self, eth0: Host) -> None:
        """Changes nothing."""
        before = observed(eth0, ETH0)
        done(eth0, ETH0, link())
        assert before == observed(eth0, ETH0)

    @pytest.mark.parametrize(
        ("key", "config", "expected"),
        [
            (LinkKey("eth7"), link(kind=""), "ENODEV"),
            (ETH0, link(kind="ipip"), "EEXIST"),
            (ETH0, link(kind=""), "EEXIST"),
            (LinkKey("x0"), link(kind="nonsense"), "ENOTSUP"),
            (LinkKey("sixteenletters00"), link(), "ERANGE"),
            (LinkKey("lo"), None, "ENOTSUP"),
        ],
    )
    def test_link_that_is_refused(
        self, eth0: Host, key: LinkKey, config: LinkConfig | None, expected: str
    ) -> None:
        """Hardware cannot be created or deleted, and a kind cannot be changed or unknown."""
        assert expected == refusal(eth0, key, config)

    def test_tunnel_has_its_ends(self, rs: Host) -> None:
        """It is observed with the given ends; a wildcard end is None."""
        ends = {"local": IPv4Address("192.0.2.11"), "remote": IPv4Address("192.0.2.10")}
        for name, kind, mtu, given in (
            ("t0", "ipip", 1480, {"local": ends["local"]}),
            ("t1", "ipip", 1480, ends),
            ("t2", "gre", 1476, ends),
        ):
            wanted = LinkConfig(kind, up=True, local=given["local"], remote=given.get("remote"))
            done(rs, LinkKey(name), wanted)
            done(rs, LinkKey(name), wanted)
            config = observed(rs, LinkKey(name))
            assert isinstance(config, LinkConfig)
            assert (kind, given.get("remote")) == (config.kind, config.remote)
            assert ends["local"] == config.local
            assert config.up
            assert mtu == config.mtu
        assert "EEXIST" == refusal(rs, LinkKey("t0"), LinkConfig("ipip", up=True))

    def test_two_tunnels_with_the_same_ends(self, rs: Host) -> None:
        """Refused, as the kernel could not tell which of them a packet is for."""
        tunnel = LinkConfig("ipip", up=True, local=IPv4Address("192.0.2.11"))
        done(rs, LinkKey("t0"), tunnel)
        assert "EEXIST" == refusal(rs, LinkKey("t1"), tunnel)

    def test_fallback_device_cannot_be_removed(self, host: Host) -> None:
        """It appears when its module is loaded; removing leaves it down, without addresses."""
        done(host, TUNL0, LinkConfig("ipip", up=False))
        assert LinkConfig("ipip", up=False, mtu=1480) == observed(host, TUNL0)
        done(host, TUNL0, LinkConfig("ipip", up=True))
        assert LinkConfig("ipip", up=True, mtu=1480) == observed(host, TUNL0)
        vip = AddressKey("tunl0", VIP.address)
        done(host, vip, AddressConfig())
        done(host, TUNL0, None)
        done(host, TUNL0, None)
        assert LinkConfig("ipip", up=False, mtu=1480) == observed(host, TUNL0)
        assert observed(host, vip) is None

    def test_fallback_device_has_no_ends(self, host: Host) -> None:
        """It accepts packets from and to any address, which cannot be changed."""
        wanted = LinkConfig("ipip", up=True, local=IPv4Address("192.0.2.11"))
        assert "EEXIST" == refusal(host, TUNL0, wanted)

    def test_link_that_goes_down(self, rs: Host) -> None:
        """It loses its routes and IPv6 addresses, and keeps IPv4 addresses."""
        route = RouteKey(TABLE, ip_network("203.0.113.0/24"))
        done(rs, route, RouteConfig("eth0", scope=SCOPE_LINK))
        done(rs, VIP6, AddressConfig(nodad=True))
        done(rs, ETH0, link(up=False))
        after = rs.observe([RIP, VIP6, route])
        assert {RIP: AddressConfig(), VIP6: None, route: None} == after

    def test_link_that_is_deleted(self, rs: Host) -> None:
        """With its addresses, routes and sysctls."""
        route = RouteKey(TABLE, ip_network("203.0.113.0/24"))
        done(rs, route, RouteConfig("eth0", scope=SCOPE_LINK))
        keys: list[HostKey] = [RIP, route, conf("eth0", "rp_filter")]
        assert None not in rs.observe(keys).values()
        done(rs, ETH0, None)
        assert dict.fromkeys(keys) == rs.observe(keys)

    # Addresses

    def test_address_is_added_and_removed(self, eth0: Host) -> None:
        """Both are idempotent."""
        assert observed(eth0, VIP) is None
        for _ in range(2):
            done(eth0, VIP, AddressConfig())
            assert AddressConfig() == observed(eth0, VIP)
            assert [VIP] == [key for key in eth0.addresses() if key.address == VIP.address]
        for _ in range(2):
            done(eth0, VIP, None)
            assert observed(eth0, VIP) is None

    def test_addresses_are_listed_oldest_first_per_device(self, eth0: Host) -> None:
        """Whatever order the kernel lists them in."""
        wanted: dict[HostKey, Config] = {
            AddressKey("eth0", ip_interface("192.0.2.11/24")): AddressConfig(),
            VIP: AddressConfig(deprecated=True),
            AddressKey("eth0", ip_interface("2001:db8::11/64")): AddressConfig(nodad=True),
            AddressKey("eth0", ip_interface("2001:db8::9/64")): AddressConfig(nodad=True),
            VIP6: AddressConfig(nodad=True, deprecated=True),
        }
        for key, config in wanted.items():
            done(eth0, key, config)

        found = eth0.addresses()

        assert wanted == {key: found[key] for key in wanted if isinstance(key, AddressKey)}
        assert list(wanted) == [key for key in found if key in wanted]

    def test_address_on_a_device_that_is_absent(self, host: Host) -> None:
        """It cannot be added; removing it succeeds."""
        assert "ENODEV" == refusal(host, VIP, AddressConfig())
        done(host, VIP, None)
        assert observed(host, VIP) is None

    def test_same_address_on_two_devices(self, eth0: Host) -> None:
        """They are distinct keys."""
        done(eth0, LinkKey("eth1"), link())
        done(eth0, VIP, AddressConfig())
        other = AddressKey("eth1", VIP.address)
        assert observed(eth0, other) is None
        done(eth0, other, AddressConfig())
        done(eth0, VIP, None)
        assert AddressConfig() == observed(eth0, other)

    def test_ipv4_addresses_that_differ_in_prefix_length(self, eth0: Host) -> None:
        """For IPv4 they are distinct addresses."""
        wider = AddressKey("eth0", ip_interface("198.51.100.10/24"))
        done(eth0, VIP, AddressConfig())
        done(eth0, wider, AddressConfig())
        done(eth0, wider, None)
        assert {VIP: AddressConfig(), wider: None} == eth0.observe([VIP, wider])

    def test_ipv6_addresses_that_differ_in_prefix_length(self, eth0: Host) -> None:
        """For IPv6 they are the same address, so the second is refused."""
        wider = AddressKey("eth0", ip_interface("2001:db8::10/64"))
        done(eth0, VIP6, AddressConfig(nodad=True))
        assert "EEXIST" == refusal(eth0, wider, AddressConfig(nodad=True))

    @pytest.mark.parametrize("nodad", [False, True])
    @pytest.mark.parametrize("deprecated", [False, True])
    def test_address_options_are_edited_in_place(
        self, eth0: Host, *, nodad: bool, deprecated: bool
    ) -> None:
        """Deprecated for both families, nodad for IPv6 only."""
        wanted = AddressConfig(nodad=nodad, deprecated=deprecated)
        for first in (AddressConfig(), AddressConfig(nodad=True, deprecated=True)):
            done(eth0, VIP6, first)
            done(eth0, VIP6, wanted)
            assert wanted == observed(eth0, VIP6)
            done(eth0, VIP, first)
            done(eth0, VIP, wanted)
            assert AddressConfig(deprecated=deprecated) == observed(eth0, VIP)

    # Routes

    def test_route_is_replaced_in_place(self, rs: Host) -> None:
        """A route is identified by table, destination and metric; the rest is changed in place."""
        key = RouteKey(TABLE, ip_network("203.0.113.0/24"))
        assert observed(rs, key) is None
        for wanted in (
            RouteConfig("eth0", scope=SCOPE_LINK),
            RouteConfig("eth0", scope=SCOPE_LINK, advmss=1440),
            RouteConfig("eth0", scope=SCOPE_LINK, advmss=1400, mtu=1450),
            RouteConfig("eth0", gateway=IPv4Address("192.0.2.1"), advmss=1440),
            RouteConfig("eth0", scope=SCOPE_LINK, source=IPv4Address("192.0.2.11")),
        ):
            done(rs, key, wanted)
            done(rs, key, wanted)
            assert wanted == observed(rs, key)
        for _ in range(2):
            done(rs, key, None)
            assert observed(rs, key) is None

    def test_routes_of_every_kind(self, rs: Host) -> None:
        """Local and throw routes, metrics, tables above 255, and IPv6."""
        done(rs, AddressKey("eth0", ip_interface("2001:db8:1::11/64")), AddressConfig(nodad=True))
        done(rs, LinkKey("lo"), LinkConfig("", up=True))
        network, network6 = ip_network("203.0.113.0/24"), ip_network("2001:db8:2::/64")
        on_link = RouteConfig("eth0", scope=SCOPE_LINK)
        wanted = {
            RouteKey(TABLE, network): on_link,
            RouteKey(TABLE, network, metric=7): on_link,
            RouteKey(1000, network): RouteConfig("lo", type="local", scope=SCOPE_HOST),
            RouteKey(1000, ip_network("192.0.2.99/32")): RouteConfig(None, type="throw"),
            RouteKey(TABLE, network6): RouteConfig("eth0"),
            RouteKey(TABLE, network6, metric=7): RouteConfig("eth0", advmss=1380),
            RouteKey(1000, ip_network("::/0")): RouteConfig(
                "eth0", gateway=IPv6Address("2001:db8:1::1")
            ),
        }
        for key, config in wanted.items():
            done(rs, key, config)
        assert wanted == rs.observe(wanted)
        for key in wanted:
            done(rs, key, None)
        assert dict.fromkeys(wanted) == rs.observe(wanted)

    def test_route_that_is_refused(self, rs: Host) -> None:
        """Missing device, device that is down, unreachable next hop, foreign source."""
        key = RouteKey(TABLE, ip_network("203.0.113.0/24"))
        done(rs, LinkKey("eth1"), link(up=False))
        hop, source = IPv4Address("100.64.0.1"), IPv4Address("192.0.2.12")
        assert "ENODEV" == refusal(rs, key, RouteConfig("eth7", scope=SCOPE_LINK))
        assert "ENETDOWN" == refusal(rs, key, RouteConfig("eth1", scope=SCOPE_LINK))
        assert "ENETUNREACH" == refusal(rs, key, RouteConfig("eth0", gateway=hop))
        assert "EINVAL" == refusal(rs, key, RouteConfig("eth0", scope=SCOPE_LINK, source=source))

    def test_gateways(self, rs: Host) -> None:
        """Next hops of default routes in the main table only."""
        gateway = IPv4Address("192.0.2.1")
        assert [] == rs.gateways()
        done(rs, RouteKey(TABLE, ip_network("0.0.0.0/0")), RouteConfig("eth0", gateway=gateway))
        assert [] == rs.gateways()
        done(rs, RouteKey(254, ip_network("0.0.0.0/0")), RouteConfig("eth0", gateway=gateway))
        assert [("eth0", gateway)] == rs.gateways()

    @pytest.mark.parametrize("gateway", ["192.0.2.1", "2001:db8:1::1"])
    def test_advertised_segment_is_changed_in_place(self, rs: Host, gateway: str) -> None:
        """On a default route and an on-link route, for both families."""
        done(rs, AddressKey("eth0", ip_interface("2001:db8:1::11/64")), AddressConfig(nodad=True))
        hop = ip_address(gateway)
        default = RouteKey(TABLE, ip_network("0.0.0.0/0" if hop.version == 4 else "::/0"))
        on_link = RouteKey(
            TABLE, ip_network(f"{hop}/{24 if hop.version == 4 else 64}", strict=False)
        )
        scope = SCOPE_LINK if hop.version == 4 else 0
        for advmss in (1440, 1428, None, 1380):
            wanted = {
                on_link: RouteConfig("eth0", scope=scope, advmss=advmss),
                default: RouteConfig("eth0", gateway=hop, advmss=advmss),
            }
            for key, config in wanted.items():
                done(rs, key, config)
            assert wanted == rs.routes(family_of(hop), TABLE)

    def test_routes_of_a_table(self, rs: Host) -> None:
        """Of one family and one table; by default main."""
        done(rs, AddressKey("eth0", ip_interface("2001:db8:1::11/64")), AddressConfig(nodad=True))
        network, network6 = ip_network("203.0.113.0/24"), ip_network("2001:db8:2::/64")
        here, here6 = RouteKey(MAIN_TABLE, network), RouteKey(MAIN_TABLE, network6)
        there, there6 = RouteKey(TABLE, network), RouteKey(1000, network6)
        on_link, on_link6 = RouteConfig("eth0", scope=SCOPE_LINK), RouteConfig("eth0", advmss=1380)
        for key, config in (
            (here, on_link),
            (here6, on_link6),
            (there, on_link),
            (there6, on_link6),
        ):
            done(rs, key, config)
        assert {there: on_link} == rs.routes(Family.IPV4, TABLE)
        assert {there6: on_link6} == rs.routes(Family.IPV6, 1000)
        assert {} == rs.routes(Family.IPV4, 1000)
        main, main6 = rs.routes(Family.IPV4), rs.routes(Family.IPV6)
        assert (on_link, None, None) == (main.get(here), main.get(here6), main.get(there))
        assert (on_link6, None, None) == (main6.get(here6), main6.get(here), main6.get(there6))

    @pytest.mark.parametrize("gateway", ["100.64.0.1", "2001:db8:ffff::1"])
    def test_gateway_without_a_route_to_it(self, rs: Host, gateway: str) -> None:
        """Accepted with the flag onlink, as some hosting providers need."""
        done(rs, AddressKey("eth0", ip_interface("2001:db8:1::11/64")), AddressConfig(nodad=True))
        hop = ip_address(gateway)
        default = RouteKey(TABLE, ip_network("0.0.0.0/0" if hop.version == 4 else "::/0"))
        refused = "ENETUNREACH" if hop.version == 4 else "EHOSTUNREACH"
        assert refused == refusal(rs, default, RouteConfig("eth0", gateway=hop))
        wanted = RouteConfig("eth0", gateway=hop, onlink=True, advmss=1440)
        done(rs, default, wanted)
        assert wanted == observed(rs, default)

    # Rules

    @pytest.mark.parametrize(
        "key",
        [
            RuleKey(Family.IPV4, 1000, TABLE, source=ip_network("198.51.100.10/32")),
            RuleKey(Family.IPV4, 1000, 1000, mark=5),
            RuleKey(Family.IPV4, 1000, TABLE),
            RuleKey(Family.IPV6, 1000, TABLE, source=ip_network("2001:db8::/64")),
            RuleKey(Family.IPV6, 1000, 1000, mark=5),
        ],
        ids=str,
    )
    def test_rule_is_added_and_removed(self, host: Host, key: RuleKey) -> None:
        """Adding and removing are idempotent."""
        assert observed(host, key) is None
        for _ in range(2):
            done(host, key, RuleConfig())
            assert RuleConfig() == observed(host, key)
        for _ in range(2):
            done(host, key, None)
            assert observed(host, key) is None

    # Sysctls

    def test_sysctl_is_read_and_written(self, eth0: Host) -> None:
        """The last value written is read."""
        key = conf("all", "arp_announce")
        for value in ("2", "2", "0"):
            done(eth0, key, SysctlConfig(value))
            assert SysctlConfig(value) == observed(eth0, key)

    def test_sysctl_that_is_refused(self, host: Host) -> None:
        """Missing parameter, invalid value, removal, path outside /proc/sys."""
        absent = conf("eth7", "rp_filter")
        assert observed(host, absent) is None
        done(host, absent, None)
        assert "ENOENT" == refusal(host, absent, SysctlConfig("1"))
        present = conf("all", "rp_filter")
        assert "EINVAL" == refusal(host, present, SysctlConfig("loose"))
        assert "EPERM" == refusal(host, present, None)
        outside = SysctlKey(("net", "..", "kernel", "hostname"))
        assert observed(host, outside) is None
        assert "ENOENT" == refusal(host, outside, SysctlConfig("x"))

    def test_sysctl_of_a_device_with_a_dot(self, host: Host) -> None:
        """The dot is part of the name."""
        done(host, LinkKey("eth0.5"), link())
        done(host, conf("eth0.5", "rp_filter"), SysctlConfig("1"))
        assert SysctlConfig("1") == observed(host, conf("eth0.5", "rp_filter"))

    def test_new_device_copies_default(self, host: Host) -> None:
        """With the values at the time of its creation."""
        done(host, conf("default", "rp_filter"), SysctlConfig("2"))
        done(host, ETH0, link())
        assert SysctlConfig("2") == observed(host, conf("eth0", "rp_filter"))

    def test_default_changes_devices_never_written(self, eth0: Host) -> None:
        """Writing ``default`` changes devices whose own value was never written."""
        done(eth0, LinkKey("eth1"), link())
        done(eth0, conf("eth1", "rp_filter"), SysctlConfig("2"))
        done(eth0, conf("default", "rp_filter"), SysctlConfig("1"))
        done(eth0, LinkKey("eth2"), link())
        done(eth0, conf("default", "rp_filter"), SysctlConfig("0"))
        values = [observed(eth0, conf(name, "rp_filter")) for name in ("eth0", "eth1", "eth2")]
        # eth2 copied, together with the value, that somebody had written it.
        assert [SysctlConfig("0"), SysctlConfig("2"), SysctlConfig("1")] == values

    def test_writing_the_same_value_is_not_writing(self, eth0: Host) -> None:
        """A device set to its present value keeps following ``default``."""
        done(eth0, conf("eth0", "rp_filter"), SysctlConfig("0"))
        done(eth0, conf("default", "rp_filter"), SysctlConfig("1"))
        assert SysctlConfig("1") == observed(eth0, conf("eth0", "rp_filter"))

    # Sequences

    def test_changes_after_a_failure_are_skipped(self, eth0: Host) -> None:
        """As their order matters."""
        broken = AddressKey("eth7", VIP.address)
        results = eth0.apply(
            [
                HostChange(RIP, AddressConfig()),
                HostChange(broken, AddressConfig()),
                HostChange(VIP, AddressConfig()),
                HostChange(ETH0, None),
            ]
        )
        assert [Done, Failed, Skipped, Skipped] == [type(result) for result in results]
        assert {RIP: AddressConfig(), VIP: None} == eth0.observe([RIP, VIP])
        assert all("eth7" in result.because for result in results if isinstance(result, Skipped))

    def test_nothing_to_do(self, host: Host) -> None:
        """No keys and no changes are allowed."""
        assert {} == host.observe([])
        assert [] == list(host.apply([]))
