"""Where VIPs go: tables for each rule, and laws over any host."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.director.vips.plan import (
    VIP_LINK,
    VipPlan,
    answered,
    own_addresses,
    plan_vips,
    unfit,
    vip_config,
    vip_key,
)
from lvsctl.host.interface import AddressConfig, AddressKey
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import ReasonKind
from lvsctl.reasons.services import (
    VIP_ANSWERED_ARP,
    VIP_ANSWERED_ND,
    VIP_IS_SOURCE,
    VIP_NOT_ANSWERED_FOR,
)

VIP4 = ip_address("198.51.100.10")
VIP6 = ip_address("2001:db8:2::10")
PLAIN = AddressConfig()
HIDDEN = AddressConfig(nodad=True, deprecated=True)


def at(link: str, text: str) -> AddressKey:
    return AddressKey(link, ip_interface(text))


DIP4, DIP6 = at("eth0", "192.0.2.10/24"), at("eth0", "2001:db8:2::1/64")
LINK_LOCAL = at("eth0", "fe80::1/64")
HOST = {DIP4: PLAIN, DIP6: PLAIN, LINK_LOCAL: PLAIN}
ON_ETH0 = at("eth0", f"{VIP6}/128")
ON_LVS0 = at("lvs0", f"{VIP6}/128")


@pytest.mark.parametrize(
    ("vip", "networks", "expected"),
    [
        (VIP4, ["eth0 198.51.100.1/24"], "lvs0"),
        (VIP6, [], "lvs0"),
        (VIP6, ["eth0 2001:db8:2::1/64"], "eth0"),
        (VIP6, ["eth0 2001:db8:3::1/64"], "lvs0"),
        (VIP6, ["eth0 2001:db8:2::1/128"], "lvs0"),
        (VIP6, ["eth0 2001:db8:2::1/48", "eth1 2001:db8:2::2/64"], "eth1"),
        (VIP6, ["eth0 2001:db8:2::1/64", "eth1 2001:db8:2::2/64"], "eth0"),
        (VIP6, ["lvs0 2001:db8:2::1/64", "lo 2001:db8:2::2/64"], "lvs0"),
        (VIP6, ["eth0 fe80::1/64"], "lvs0"),
    ],
)
def test_a_vip_goes_where_it_is_answered_for(
    vip: IPAddress, networks: list[str], expected: str
) -> None:
    """IPv6 is on the device with the narrowest network around it; all else on our own."""
    present = {at(*network.split()): PLAIN for network in networks}

    assert (AddressKey(expected, ip_interface(vip)),) == plan_vips([vip], present, []).missing


@pytest.mark.parametrize(
    ("present", "claimed", "expected"),
    [
        pytest.param(HOST, [], VipPlan(missing=(ON_ETH0,)), id="absent"),
        pytest.param({**HOST, ON_ETH0: HIDDEN}, [ON_ETH0], VipPlan(), id="in place"),
        pytest.param(
            {**HOST, ON_ETH0: PLAIN}, [ON_ETH0], VipPlan(drifted=(ON_ETH0,)), id="made preferred"
        ),
        pytest.param({**HOST, ON_ETH0: PLAIN}, [], VipPlan(), id="somebody else's"),
        pytest.param({**HOST, at("lo", f"{VIP6}/128"): PLAIN}, [], VipPlan(), id="theirs on lo"),
        pytest.param({**HOST, at("eth0", f"{VIP6}/64"): PLAIN}, [], VipPlan(), id="with a network"),
        pytest.param(
            {**HOST, ON_LVS0: HIDDEN}, [ON_LVS0], VipPlan(misplaced=(ON_ETH0,)), id="now on-link"
        ),
        pytest.param(
            {ON_ETH0: HIDDEN}, [ON_ETH0], VipPlan(misplaced=(ON_LVS0,)), id="not on-link any more"
        ),
        pytest.param(
            {**HOST, ON_LVS0: HIDDEN, ON_ETH0: HIDDEN},
            [ON_LVS0, ON_ETH0],
            VipPlan(remove=(ON_LVS0,)),
            id="moved",
        ),
        pytest.param(
            {DIP4: PLAIN}, [ON_ETH0], VipPlan(missing=(ON_LVS0,), forget=(ON_ETH0,)), id="link down"
        ),
        pytest.param(
            {**HOST, ON_LVS0: HIDDEN, at("lo", f"{VIP6}/128"): PLAIN},
            [ON_LVS0],
            VipPlan(),
            id="ours and theirs",
        ),
    ],
)
def test_what_leads_to_a_wanted_ipv6_vip(
    present: Mapping[AddressKey, AddressConfig], claimed: list[AddressKey], expected: VipPlan
) -> None:
    """New first and the old one when that is seen; others' addresses are used as they are."""
    assert expected == plan_vips([VIP6], present, claimed)


def test_a_vip_that_nothing_wants_is_removed_only_if_it_is_ours() -> None:
    """What is gone already is forgotten."""
    present = {**HOST, ON_ETH0: HIDDEN, at("lo", "2001:db8:2::20/128"): PLAIN}

    assert VipPlan(remove=(ON_ETH0,), forget=(ON_LVS0,)) == plan_vips(
        [], present, [ON_ETH0, ON_LVS0]
    )


def test_a_vip_stays_with_the_device_it_is_on_while_that_is_on_link() -> None:
    """Two devices in one network do not pass it to and fro."""
    eth1 = at("eth1", f"{VIP6}/128")
    present = {**HOST, at("eth1", "2001:db8:2::2/64"): PLAIN, eth1: HIDDEN}

    assert VipPlan() == plan_vips([VIP6], present, [eth1])


VIPS = [VIP4, *map(ip_address, ("198.51.100.20", "2001:db8:2::10", "2001:db8:3::10"))]
SOME_KEYS = [AddressKey(link, ip_interface(v)) for link in ("lvs0", "eth0", "lo") for v in VIPS]
ADDRESSES = st.dictionaries(
    st.sampled_from([*SOME_KEYS, *HOST, at("eth1", "2001:db8:3::1/48")]),
    st.sampled_from([PLAIN, HIDDEN]),
)


@given(ADDRESSES, st.sets(st.sampled_from(SOME_KEYS)), st.sets(st.sampled_from(VIPS)))
def test_two_rounds_lead_to_the_vips_and_touch_nothing_of_others(
    present: dict[AddressKey, AddressConfig], claims: set[AddressKey], wanted: set[IPAddress]
) -> None:
    """No VIP is ever absent in between that was there, and a third round has nothing to do."""
    others = {key: config for key, config in present.items() if key not in claims}
    for _ in range(2):
        there = {key.address.ip for key in present} & wanted
        plan = plan_vips(wanted, present, claims)
        claims = claims.difference(plan.forget, plan.remove)
        present = {key: config for key, config in present.items() if key not in plan.remove}
        assert there <= {key.address.ip for key in present}
        for key in (*plan.drifted, *plan.missing, *plan.misplaced):
            present[key] = vip_config(key)
            claims.add(key)

    assert wanted <= {key.address.ip for key in present}
    assert others == {key: present.get(key) for key in others}
    assert VipPlan() == plan_vips(wanted, present, claims)
    assert claims <= present.keys()


def test_own_addresses_are_the_oldest_with_a_network_and_the_gateways() -> None:
    """Neither what stands alone, nor what joined later, nor a link-local one is the director's."""
    present = {
        DIP4: PLAIN,
        at("eth0", "192.0.2.99/24"): PLAIN,
        LINK_LOCAL: PLAIN,
        at("eth0", f"{VIP6}/128"): HIDDEN,
        DIP6: PLAIN,
        at("eth0", "2001:db8:2::99/64"): PLAIN,
        at(VIP_LINK.name, "fe80::2/64"): PLAIN,
    }
    gateway = ip_address("fe80::ff")

    assert {
        gateway: "the gateway on eth0",
        DIP4.address.ip: "this director (eth0)",
        DIP6.address.ip: "this director (eth0)",
        ip_address("192.0.2.0"): "every host of 192.0.2.0/24 on eth0",
        ip_address("192.0.2.255"): "every host of 192.0.2.0/24 on eth0",
    } == own_addresses(present, [("eth0", gateway)])


@pytest.mark.parametrize(
    ("key", "config", "expected"),
    [
        (ON_ETH0, PLAIN, [VIP_IS_SOURCE]),
        (ON_ETH0, AddressConfig(deprecated=True), []),
        (at("lo", f"{VIP6}/128"), PLAIN, [VIP_NOT_ANSWERED_FOR]),
        (at("lo", "2001:db8:9::10/128"), PLAIN, []),
    ],
)
def test_an_ipv6_vip_of_somebody_else_that_does_harm_is_named(
    key: AddressKey, config: AddressConfig, expected: list[ReasonKind]
) -> None:
    """On an uplink it must be deprecated, and on-link it must not hide on another device."""
    found = unfit([key.address.ip], {**HOST, key: config}, [])

    assert expected == [each.kind for each in found]


@pytest.mark.parametrize(("vip", "kind"), [(VIP4, VIP_ANSWERED_ARP), (VIP6, VIP_ANSWERED_ND)])
def test_an_answered_vip_names_the_cure_of_its_family(vip: IPAddress, kind: ReasonKind) -> None:
    """ARP is silenced by a sysctl, neighbour discovery by the device that has the address."""
    assert kind is answered(vip_key(vip), "02:00:00:00:00:99 on eth0").kind
