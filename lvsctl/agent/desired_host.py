"""Computes what a host should be from what its real server is assigned. Pure.

The order is that of KERNEL.md, and an interruption at any point is safe:

1. the tunnel devices exist, down;
2. ARP sysctls, so that no VIP is ever announced or answered for; ``default.rp_filter`` is raised
   to the effective value, so that devices created meanwhile are as strict as they would have been;
3. every other device's own rp_filter is raised likewise, then ``all`` and the tunnel devices are
   relaxed: only these become less strict;
4. the devices go up, and the UDP ports are opened;
5. routes and rules that make the VIPs announce a fitting MSS;
6. the VIPs.

Each of the first two steps is observed before the next is planned, which depends on its effect.

A VIP that somebody else has added to ``lo``, a dummy or a tunnel device is used and left there.
Otherwise an IPv4 VIP is on a tunnel device, and stays on it as long as the device is desired. An
IPv6 VIP is on ``lo``, deprecated: neighbour solicitations are answered for the receiving device's
addresses only, so nothing has to be kept silent, and no change of tunnel moves it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface

from lvsctl.agent.devices import Carrier, DeviceSelection, ServingSpec
from lvsctl.agent.mss import (
    Limit,
    MssPlan,
    Routes,
    Routing,
    copy_key,
    mtu_sysctl,
    plan_mss,
    vip_rule,
)
from lvsctl.agent.sysctls import PARAMETERS, TEMPLATES, Sysctls, conf, ipv6_is_off, ipv6_switch
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    FouPortConfig,
    HostChange,
    HostKey,
    HostState,
    LinkKey,
)
from lvsctl.host.receivers import (
    TUNNEL_NAMES,
    encapsulation,
    port_of,
    twin_of,
)
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.packet_size import overhead


@dataclass(frozen=True, slots=True)
class DesiredHost:
    """The desired state of a host.

    Attributes:
        base: Sysctls that every VIP needs, in order.
        devices: Tunnel devices, independent of each other.
        ports: UDP ports, independent of each other.
        mss: Routes and rules.
        vips: The address of each VIP; empty until base and devices are in place.
        foreign: Those addresses that somebody else added, as they are.
        carriers: Which tunnels carry which VIPs, and what they need.
        excluded: Tunnels that cannot be accepted beside another one.
        conflicting: Devices to remove before the missing ones can be created.
        complete: False if the rest can only be planned once this is observed.
    """

    base: HostState = field(default_factory=dict)
    devices: HostState = field(default_factory=dict)
    ports: HostState = field(default_factory=dict)
    mss: tuple[MssPlan, ...] = ()
    vips: Mapping[IPAddress, AddressKey] = field(default_factory=dict)
    foreign: HostState = field(default_factory=dict)
    carriers: tuple[Carrier, ...] = ()
    excluded: tuple[Tunnel, ...] = ()
    conflicting: tuple[LinkKey, ...] = ()
    complete: bool = True

    @property
    def addresses(self) -> HostState:
        """The addresses of the VIPs."""
        own: HostState = {key: address_config(vip) for vip, key in self.vips.items()}
        return {**own, **self.foreign}

    @property
    def routing(self) -> HostState:
        """Routes, and then rules."""
        routes = {key: config for plan in self.mss for key, config in plan.routes.items()}
        rules = {key: config for plan in self.mss for key, config in plan.rule_state.items()}
        return {**routes, **rules}

    @property
    def state(self) -> HostState:
        """All of it as one state, in order."""
        return {**self.base, **self.devices, **self.ports, **self.routing, **self.addresses}

    @property
    def links(self) -> tuple[LinkKey, ...]:
        """The tunnel devices."""
        return tuple(key for key in self.devices if isinstance(key, LinkKey))


@dataclass(frozen=True, slots=True)
class HostObservation:
    """An observation of a host.

    Attributes:
        state: Every key of :func:`keys_to_observe`.
        routing: By family of the VIPs.
        foreign: VIPs that somebody else added to a device without ARP.
    """

    state: HostState
    routing: Mapping[Family, Routing] = field(default_factory=dict)
    foreign: Mapping[IPAddress, AddressKey] = field(default_factory=dict)


def keys_to_observe(spec: ServingSpec, links: Collection[str], main: Routes) -> Sequence[HostKey]:
    """Return the keys to observe before :func:`plan_host`.

    Args:
        spec: What to serve.
        links: All network devices.
        main: The main table's routes, of the VIPs' families.
    """
    devices = spec.devices()
    twins = filter(None, map(twin_of, devices))
    names = [name for device in (*devices, *twins) for name in device.names]
    ports = [port_of(tunnel, family_of(spec.address)) for tunnel in spec.servable_tunnels]
    sysctls = [
        conf(device, parameter)
        for device in (*sorted(TEMPLATES), *links)
        for parameter in PARAMETERS
    ]
    outputs = sorted({config.link for config in main.values() if config.link})
    return [
        *map(LinkKey, [*names, *outputs]),
        *sysctls,
        *map(ipv6_switch, ["lo", *names]),
        *map(mtu_sysctl, outputs),
        *filter(None, ports),
        *map(copy_key, main),
        *map(vip_rule, spec.servable_vips),
        *(vip_key(link, vip) for vip in spec.servable_vips for link in ("lo", *names)),
    ]


def plan_host(
    spec: ServingSpec,
    observation: HostObservation,
    missing_fallbacks: Collection[str] = frozenset(),
    refused: Collection[HostChange] = frozenset(),
) -> DesiredHost:
    """Return what the host should be next.

    Args:
        spec: What to serve.
        observation: The host as it is.
        missing_fallbacks: Fallback devices that this namespace turned out not to have.
        refused: Changes that the host just refused.
    """
    observed = observation.state
    selection = DeviceSelection(spec, observed, missing_fallbacks, refused)
    absent: HostState = {link: selection.config(link, up=False) for link in selection.absent()}
    if absent:
        return DesiredHost(
            devices=absent,
            conflicting=tuple(selection.conflicting()),
            excluded=selection.excluded,
            complete=False,
        )
    up: HostState = {link: selection.config(link, up=True) for link in selection.devices}
    relaxed = selection.links(Family.IPV4)
    base: HostState = {}
    if relaxed:
        sysctls = Sysctls(observed, frozenset(link.name for link in relaxed))
        first: HostState = {**dict(sysctls.arp()), **dict(sysctls.strict_default())}
        if any(observed[key] != config for key, config in sysctls.strict_default()):
            # Writing default may change these, so their original values must be recorded first.
            base = {**first, **dict(sysctls.current_rp_filter())}
            return DesiredHost(base, excluded=selection.excluded, complete=False)
        base = {**first, **dict(sysctls.relaxed_tunnels())}
    vips = {
        vip: key
        for vip in spec.servable_vips
        if (key := _choose_vip_key(vip, selection, observation, refused))
    }
    return DesiredHost(
        base=base,
        devices=up,
        ports=dict.fromkeys(selection.ports(), FouPortConfig()),
        mss=tuple(_mss(spec, observation, vips, refused)),
        vips=vips,
        foreign={
            key: observed[key] for vip, key in vips.items() if key == observation.foreign.get(vip)
        },
        carriers=tuple(selection.carriers()),
        excluded=selection.excluded,
    )


def vip_key(link: str, vip: IPAddress) -> AddressKey:
    """Return a VIP's address on a device."""
    # A shorter prefix would add a route to the VIP's network.
    return AddressKey(link, ip_interface(vip))


def address_config(vip: IPAddress) -> AddressConfig:
    """Return the options of a VIP's address."""
    ipv6 = family_of(vip) is Family.IPV6
    return AddressConfig(nodad=ipv6, deprecated=ipv6)


def _choose_vip_key(
    vip: IPAddress,
    selection: DeviceSelection,
    observation: HostObservation,
    refused: Collection[HostChange],
) -> AddressKey | None:
    links, observed = selection.links(family_of(vip)), observation.state
    if not links:
        return None
    foreign = observation.foreign.get(vip)
    if foreign is not None and observed[foreign] is not None:
        return foreign
    if family_of(vip) is Family.IPV6:
        return None if ipv6_is_off("lo", observed) else vip_key("lo", vip)
    keys = [vip_key(link.name, vip) for link in links]
    present = [key for key in keys if observed[key] is not None]
    offered = [key for key in keys if HostChange(key, address_config(vip)) not in refused]
    return (present or offered or keys)[0]


def _mss(
    spec: ServingSpec,
    observation: HostObservation,
    vips: Collection[IPAddress],
    refused: Collection[HostChange],
) -> Iterator[MssPlan]:
    rip = family_of(spec.address)
    largest = max(
        (overhead(encapsulation(tunnel), rip) for tunnel in spec.servable_tunnels), default=0
    )
    for family in Family:
        yield plan_mss(
            [vip for vip in vips if family_of(vip) is family],
            observation.routing.get(family, Routing()),
            observation.state,
            Limit(largest, spec.mtu),
            TUNNEL_NAMES,
            refused,
        )
