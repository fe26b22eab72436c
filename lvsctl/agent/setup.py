"""From what a real server is assigned to what its host should be. Pure.

The order is that of KERNEL.md and safe to be interrupted anywhere:

1. the tunnel device exists, down;
2. ARP sysctls, so that no VIP is ever announced or answered for; ``default.rp_filter`` raised to
   what was effective, so that devices that come meanwhile are as strict as they would have been;
3. every other device's own rp_filter raised likewise, then ``all`` and the tunnel device relaxed:
   only the tunnel device is less strict than before;
4. the device goes up;
5. the VIPs.

Each of the first two steps is looked at before the next is planned: the next needs its effect.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface

from lvsctl.agent.messages import Tunnel
from lvsctl.agent.tunnels import TUNNEL_DEVICES, TunnelDevice
from lvsctl.host.protocol import (
    AddressConfig,
    AddressKey,
    Config,
    HostKey,
    HostState,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.ipvs_table import Family, IPAddress, family_of

_CONF = ("net", "ipv4", "conf")
_TEMPLATES = frozenset({"all", "default"})
_NEVER_ASKED = frozenset({"lo"})


@dataclass(frozen=True, slots=True)
class ArpRule:
    """One of the sysctls that keep a real server from speaking for its VIPs.

    The effective value is the greater of ``all`` and the device's own.

    Attributes:
        parameter: Its name.
        sufficient: Effective values that keep it silent. arp_ignore 3 answers for addresses of
            every device, 4 to 7 and arp_announce above 2 are what 0 is (net/ipv4/arp.c).
        least: What ``all`` is set to where that is not sufficient.
    """

    parameter: str
    sufficient: frozenset[int]
    least: int


ARP_RULES = (
    ArpRule("arp_ignore", frozenset({1, 2, 8}), 1),
    ArpRule("arp_announce", frozenset({2}), 2),
)
RP_FILTER = "rp_filter"
_PARAMETERS = (*(rule.parameter for rule in ARP_RULES), RP_FILTER)


@dataclass(frozen=True, slots=True)
class Task:
    """What a real server is to serve.

    Attributes:
        vips: The VIPs.
        tunnels: The types of tunnel to accept.
        address: The real server's own address (RIP).
    """

    vips: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    address: IPAddress

    @property
    def servable_tunnels(self) -> tuple[Tunnel, ...]:
        """The tunnels that this agent knows how to accept."""
        if family_of(self.address) is not Family.IPV4:
            return ()
        return tuple(tunnel for tunnel in self.tunnels if tunnel.type in TUNNEL_DEVICES)

    @property
    def servable_vips(self) -> tuple[IPAddress, ...]:
        """The VIPs that this agent knows how to serve through those tunnels."""
        if not self.servable_tunnels:
            return ()
        return tuple(vip for vip in self.vips if family_of(vip) is Family.IPV4)


@dataclass(frozen=True, slots=True)
class SetUp:
    """What the host should be.

    Attributes:
        foundation: What every VIP needs, in order. Where it is only the first steps, the rest
            follows once these are seen.
        vips: The address that each VIP needs; none before the foundation is whole.
        devices: The tunnel devices.
        whole: Whether this is all that the task needs.
    """

    foundation: HostState = field(default_factory=dict)
    vips: Mapping[IPAddress, AddressKey] = field(default_factory=dict)
    devices: tuple[LinkKey, ...] = ()
    whole: bool = True

    @property
    def addresses(self) -> HostState:
        """The addresses of the VIPs."""
        return dict.fromkeys(self.vips.values(), AddressConfig())

    @property
    def wanted(self) -> HostState:
        """The whole as one state, in order."""
        return {**self.foundation, **self.addresses}


def conf(device: str, parameter: str) -> SysctlKey:
    """Return the key of a device's IPv4 parameter."""
    return SysctlKey((*_CONF, device, parameter))


def keys_to_observe(task: Task, links: Collection[str]) -> Sequence[HostKey]:
    """Return what must be observed before a set-up can be worked out."""
    names = [name for tunnel in task.servable_tunnels for name in TUNNEL_DEVICES[tunnel.type].names]
    sysctls = [
        conf(device, parameter)
        for device in (*sorted(_TEMPLATES), *links)
        for parameter in _PARAMETERS
    ]
    addresses = [_vip_key(LinkKey(name), vip) for name in names for vip in task.servable_vips]
    return [*map(LinkKey, names), *sysctls, *addresses]


def set_up(task: Task, observed: HostState, without: Collection[str] = frozenset()) -> SetUp:
    """Work out what the host should be next.

    Args:
        task: What to serve.
        observed: What is, for every key of :func:`keys_to_observe`.
        without: Fallback devices that this namespace turned out not to have.
    """
    devices = {
        _device(TUNNEL_DEVICES[tunnel.type], observed, without): TUNNEL_DEVICES[tunnel.type]
        for tunnel in task.servable_tunnels
    }
    if not devices:
        return SetUp()
    links = tuple(devices)
    absent: HostState = {
        link: device.config(link, task.address, up=False)
        for link, device in devices.items()
        if observed[link] is None
    }
    if absent:
        return SetUp(absent, devices=links, whole=False)
    sysctls = _Sysctls(observed, frozenset(link.name for link in links))
    first: HostState = {**dict(sysctls.arp()), **dict(sysctls.strict_default())}
    if any(observed[key] != config for key, config in sysctls.strict_default()):
        # Writing default may change these, so how they were found is to be recorded before.
        return SetUp({**first, **dict(sysctls.present_rp_filter())}, devices=links, whole=False)
    foundation: HostState = {
        **first,
        **dict(sysctls.relaxed_tunnels()),
        **{link: device.config(link, task.address, up=True) for link, device in devices.items()},
    }
    vips = {vip: _vip_key(links[0], vip) for vip in task.servable_vips}
    return SetUp(foundation, vips, links)


def _vip_key(link: LinkKey, vip: IPAddress) -> AddressKey:
    # A longer prefix would come with a route to the VIP's network.
    return AddressKey(link.name, IPv4Interface(f"{vip}/32"))


def _device(device: TunnelDevice, observed: HostState, without: Collection[str]) -> LinkKey:
    own = LinkKey(device.own)
    if observed[own] is not None or device.fallback in without:
        return own
    return LinkKey(device.fallback)


class _Sysctls:
    """The parameters of one observation, and what they should be."""

    def __init__(self, observed: HostState, tunnels: frozenset[str]) -> None:
        self._observed = observed
        self._tunnels = tunnels
        self._others = [
            key.path[-2]
            for key, config in observed.items()
            if isinstance(key, SysctlKey)
            and key == conf(key.path[-2], RP_FILTER)
            and config is not None
            and key.path[-2] not in _TEMPLATES | tunnels
        ]

    def arp(self) -> Iterator[tuple[HostKey, Config]]:
        for rule in ARP_RULES:
            present = self._value("all", rule.parameter)
            for_all = present if present in rule.sufficient else rule.least
            yield _set("all", rule.parameter, for_all)
            for device in self._others:
                if device in _NEVER_ASKED:
                    continue
                own = self._value(device, rule.parameter)
                enough = max(for_all, own) in rule.sufficient
                yield _set(device, rule.parameter, own if enough else 0)

    def strict_default(self) -> Iterator[tuple[HostKey, Config]]:
        yield _set("default", RP_FILTER, self._effective_rp_filter("default"))

    def present_rp_filter(self) -> Iterator[tuple[HostKey, Config]]:
        for device in (*self._others, *sorted(self._tunnels)):
            yield _set(device, RP_FILTER, self._value(device, RP_FILTER))

    def relaxed_tunnels(self) -> Iterator[tuple[HostKey, Config]]:
        for device in self._others:
            yield _set(device, RP_FILTER, self._effective_rp_filter(device))
        yield _set("all", RP_FILTER, 0)
        for tunnel in sorted(self._tunnels):
            yield _set(tunnel, RP_FILTER, 0)

    def _effective_rp_filter(self, device: str) -> int:
        return max(self._value("all", RP_FILTER), self._value(device, RP_FILTER))

    def _value(self, device: str, parameter: str) -> int:
        config = self._observed[conf(device, parameter)]
        # A device that vanished between two reads counts as 0.
        return int(config.value) if isinstance(config, SysctlConfig) else 0


def _set(device: str, parameter: str, value: int) -> tuple[HostKey, Config]:
    return conf(device, parameter), SysctlConfig(str(value))
