"""From what a real server is assigned to what its host should be. Pure.

The order is that of KERNEL.md and safe to be interrupted anywhere:

1. the tunnel devices exist, down;
2. ARP sysctls, so that no VIP is ever announced or answered for; ``default.rp_filter`` raised to
   what was effective, so that devices that come meanwhile are as strict as they would have been;
3. every other device's own rp_filter raised likewise, then ``all`` and the tunnel devices relaxed:
   only they are less strict than before;
4. the devices go up, and the UDP ports are opened;
5. routes and rules that make the VIPs announce a fitting MSS;
6. the VIPs.

Each of the first two steps is looked at before the next is planned: the next needs its effect.

A VIP that somebody else has put on ``lo``, a dummy or a tunnel device is used and left there.
Otherwise an IPv4 VIP is on a tunnel device, and stays where it is for as long as that device is
wanted. An IPv6 VIP is on ``lo``, deprecated: neighbour solicitations are answered for the receiving
device's addresses only, so nothing has to be kept silent, and no change of tunnel moves it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface

from lvsctl.agent.mss import (
    Limit,
    MssPlan,
    Routes,
    Routing,
    in_our_table,
    mtu_sysctl,
    plan_mss,
    rule_of,
)
from lvsctl.agent.sysctls import PARAMETERS, TEMPLATES, Sysctls, conf, ipv6_is_off, ipv6_switch
from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    Config,
    FouPortConfig,
    HostChange,
    HostKey,
    HostState,
    LinkKey,
)
from lvsctl.host.receivers import (
    TUNNEL_NAMES,
    TunnelDevice,
    device_of,
    encapsulation,
    excludes,
    is_known,
    port_of,
    twin_of,
)
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.packet_size import overhead


@dataclass(frozen=True, slots=True)
class ServingSpec:
    """What a real server is to serve.

    Attributes:
        vips: The VIPs.
        tunnels: The types of tunnel to accept.
        address: The real server's own address (RIP).
        mtu: Largest outer packet that the network lets through; None where routes say it.
    """

    vips: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    address: IPAddress
    mtu: int | None = None

    @property
    def servable_tunnels(self) -> tuple[Tunnel, ...]:
        """The tunnels that this agent knows how to accept."""
        return tuple(tunnel for tunnel in self.tunnels if is_known(tunnel))

    @property
    def servable_vips(self) -> tuple[IPAddress, ...]:
        """The VIPs that this agent knows how to serve through those tunnels."""
        return self.vips if self.servable_tunnels else ()

    @property
    def families(self) -> tuple[Family, ...]:
        """The families of the servable VIPs."""
        return tuple(sorted({family_of(vip) for vip in self.servable_vips}))

    def devices(self) -> tuple[TunnelDevice, ...]:
        """Return every device that may be needed, once."""
        rip = family_of(self.address)
        return tuple(
            dict.fromkeys(
                device_of(tunnel, vip, rip)
                for tunnel in self.servable_tunnels
                for vip in self.families
            )
        )


@dataclass(frozen=True, slots=True)
class Carrier:
    """A tunnel as it carries VIPs of one family.

    Attributes:
        tunnel: The tunnel.
        vip: The family.
        needs: Device and UDP port.
    """

    tunnel: Tunnel
    vip: Family
    needs: tuple[HostKey, ...]


@dataclass(frozen=True, slots=True)
class DesiredHost:
    """What the host should be.

    Attributes:
        base: Sysctls that every VIP needs, in order.
        devices: Tunnel devices, each for itself.
        ports: UDP ports, each for itself.
        mss: Routes and rules.
        vips: The address that each VIP needs; none before base and devices are whole.
        carriers: Which tunnels carry what, and through what.
        excluded: Tunnels that another one keeps from being accepted.
        foreign: Those addresses that somebody else put there, as they are.
        in_the_way: Devices that go before those that are missing can be made.
        whole: Whether this is all that the task needs; else the rest follows once this is seen.
    """

    base: HostState = field(default_factory=dict)
    devices: HostState = field(default_factory=dict)
    ports: HostState = field(default_factory=dict)
    mss: tuple[MssPlan, ...] = ()
    vips: Mapping[IPAddress, AddressKey] = field(default_factory=dict)
    foreign: HostState = field(default_factory=dict)
    carriers: tuple[Carrier, ...] = ()
    excluded: tuple[Tunnel, ...] = ()
    in_the_way: tuple[LinkKey, ...] = ()
    whole: bool = True

    @property
    def addresses(self) -> HostState:
        """The addresses of the VIPs."""
        own: HostState = {key: address_config(vip) for vip, key in self.vips.items()}
        return {**own, **self.foreign}

    @property
    def routing(self) -> HostState:
        """Routes, and then rules."""
        routes = {key: config for plan in self.mss for key, config in plan.routes.items()}
        rules = {key: config for plan in self.mss for key, config in plan.wanted_rules.items()}
        return {**routes, **rules}

    @property
    def wanted(self) -> HostState:
        """The whole as one state, in order."""
        return {**self.base, **self.devices, **self.ports, **self.routing, **self.addresses}

    @property
    def links(self) -> tuple[LinkKey, ...]:
        """The tunnel devices."""
        return tuple(key for key in self.devices if isinstance(key, LinkKey))


@dataclass(frozen=True, slots=True)
class HostObservation:
    """What was observed of a host.

    Attributes:
        state: Every key of :func:`keys_to_observe`.
        routing: By family of the VIPs.
        foreign: Where somebody else has put a VIP on a device that keeps it silent.
    """

    state: HostState
    routing: Mapping[Family, Routing] = field(default_factory=dict)
    foreign: Mapping[IPAddress, AddressKey] = field(default_factory=dict)


def keys_to_observe(task: ServingSpec, links: Collection[str], main: Routes) -> Sequence[HostKey]:
    """Return what must be observed before a set-up can be worked out.

    Args:
        task: What to serve.
        links: All network devices.
        main: The main table's routes, of the VIPs' families.
    """
    devices = task.devices()
    twins = filter(None, map(twin_of, devices))
    names = [name for device in (*devices, *twins) for name in device.names]
    ports = [port_of(tunnel, family_of(task.address)) for tunnel in task.servable_tunnels]
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
        *map(in_our_table, main),
        *map(rule_of, task.servable_vips),
        *(vip_key(link, vip) for vip in task.servable_vips for link in ("lo", *names)),
    ]


def set_up(
    task: ServingSpec,
    seen: HostObservation,
    without: Collection[str] = frozenset(),
    refused: Collection[HostChange] = frozenset(),
) -> DesiredHost:
    """Work out what the host should be next.

    Args:
        task: What to serve.
        seen: What is.
        without: Fallback devices that this namespace turned out not to have.
        refused: Changes that the host just refused to make.
    """
    observed = seen.state
    carrying = _Carrying(task, observed, without, refused)
    absent: HostState = {link: carrying.config(link, up=False) for link in carrying.absent()}
    if absent:
        return DesiredHost(
            devices=absent,
            in_the_way=tuple(carrying.in_the_way()),
            excluded=carrying.excluded,
            whole=False,
        )
    up: HostState = {link: carrying.config(link, up=True) for link in carrying.devices}
    relaxed = carrying.links(Family.IPV4)
    base: HostState = {}
    if relaxed:
        sysctls = Sysctls(observed, frozenset(link.name for link in relaxed))
        first: HostState = {**dict(sysctls.arp()), **dict(sysctls.strict_default())}
        if any(observed[key] != config for key, config in sysctls.strict_default()):
            # Writing default may change these, so how they were found is to be recorded before.
            base = {**first, **dict(sysctls.present_rp_filter())}
            return DesiredHost(base, excluded=carrying.excluded, whole=False)
        base = {**first, **dict(sysctls.relaxed_tunnels())}
    vips = {vip: key for vip in task.servable_vips if (key := _place(vip, carrying, seen, refused))}
    return DesiredHost(
        base=base,
        devices=up,
        ports=dict.fromkeys(carrying.ports(), FouPortConfig()),
        mss=tuple(_mss(task, seen, vips, refused)),
        vips=vips,
        foreign={key: observed[key] for vip, key in vips.items() if key == seen.foreign.get(vip)},
        carriers=tuple(carrying.carriers()),
        excluded=carrying.excluded,
    )


def vip_key(link: str, vip: IPAddress) -> AddressKey:
    """Return a VIP's address on a device."""
    # A shorter prefix would come with a route to the VIP's network.
    return AddressKey(link, ip_interface(vip))


def address_config(vip: IPAddress) -> AddressConfig:
    """Return the options of a VIP's address."""
    ipv6 = family_of(vip) is Family.IPV6
    return AddressConfig(nodad=ipv6, deprecated=ipv6)


def _place(
    vip: IPAddress, carrying: "_Carrying", seen: HostObservation, refused: Collection[HostChange]
) -> AddressKey | None:
    links, observed = carrying.links(family_of(vip)), seen.state
    if not links:
        return None
    foreign = seen.foreign.get(vip)
    if foreign is not None and observed[foreign] is not None:
        return foreign
    if family_of(vip) is Family.IPV6:
        return None if ipv6_is_off("lo", observed) else vip_key("lo", vip)
    keys = [vip_key(link.name, vip) for link in links]
    present = [key for key in keys if observed[key] is not None]
    offered = [key for key in keys if HostChange(key, address_config(vip)) not in refused]
    return (present or offered or keys)[0]


def _mss(
    task: ServingSpec,
    seen: HostObservation,
    vips: Collection[IPAddress],
    refused: Collection[HostChange],
) -> Iterator[MssPlan]:
    rip = family_of(task.address)
    largest = max(
        (overhead(encapsulation(tunnel), rip) for tunnel in task.servable_tunnels), default=0
    )
    for family in Family:
        yield plan_mss(
            [vip for vip in vips if family_of(vip) is family],
            seen.routing.get(family, Routing()),
            seen.state,
            Limit(largest, task.mtu),
            TUNNEL_NAMES,
            refused,
        )


class _Carrying:
    """Which device carries what."""

    def __init__(
        self,
        task: ServingSpec,
        observed: HostState,
        without: Collection[str],
        refused: Collection[HostChange],
    ) -> None:
        self._task = task
        self._rip = family_of(task.address)
        self._observed = observed
        self._without = without
        self._refused = refused
        tunnels = task.servable_tunnels
        # Of two that exclude each other, the one that has a device of ours keeps it.
        in_order = sorted(tunnels, key=lambda tunnel: not self._stands(tunnel))
        self.tunnels: list[Tunnel] = []
        for tunnel in in_order:
            if not any(excludes(tunnel, other) for other in self.tunnels):
                self.tunnels.append(tunnel)
        self.excluded = tuple(tunnel for tunnel in tunnels if tunnel not in self.tunnels)
        self.devices: dict[LinkKey, TunnelDevice] = {}
        for tunnel in tunnels:
            for vip in task.families:
                device = device_of(tunnel, vip, self._rip)
                link = self._link(device)
                if tunnel in self.tunnels and self._is_to_be_had(link, device):
                    self.devices[link] = device

    def absent(self) -> list[LinkKey]:
        return [link for link in self.devices if self._observed[link] is None]

    def in_the_way(self) -> Iterator[LinkKey]:
        for link in self.absent():
            twin = twin_of(self.devices[link])
            if twin is not None and self._observed[LinkKey(twin.own)] is not None:
                yield LinkKey(twin.own)

    def config(self, link: LinkKey, *, up: bool) -> Config:
        return self.devices[link].config(link, self._task.address, up=up)

    def links(self, vip: Family) -> list[LinkKey]:
        """Return the devices for VIPs of a family."""
        if vip not in self._task.families:
            return []
        needed = [self._link(device_of(tunnel, vip, self._rip)) for tunnel in self.tunnels]
        return [link for link in self.devices if link in needed]

    def ports(self) -> list[HostKey]:
        found = [port_of(tunnel, self._rip) for tunnel in self.tunnels if self.devices]
        return [*dict.fromkeys(filter(None, found))]

    def carriers(self) -> Iterator[Carrier]:
        for tunnel in self.tunnels:
            for vip in self._task.families:
                link = self._link(device_of(tunnel, vip, self._rip))
                off = vip is Family.IPV6 and ipv6_is_off(link.name, self._observed)
                if link in self.devices and not off:
                    port = port_of(tunnel, self._rip)
                    yield Carrier(tunnel, vip, (link, port) if port else (link,))

    def _stands(self, tunnel: Tunnel) -> bool:
        return any(
            self._observed[LinkKey(device_of(tunnel, vip, self._rip).own)] is not None
            for vip in self._task.families
        )

    def _is_to_be_had(self, link: LinkKey, device: TunnelDevice) -> bool:
        making = HostChange(link, device.config(link, self._task.address, up=False))
        return self._observed[link] is not None or making not in self._refused

    def _link(self, device: TunnelDevice) -> LinkKey:
        own = LinkKey(device.own)
        if device.fallback is None or device.fallback in self._without:
            return own
        return LinkKey(device.fallback) if self._observed[own] is None else own
