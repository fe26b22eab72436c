"""Plans which VIPs to add to which device, and which claimed ones to remove. Pure."""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from lvsctl.host.interface import (
    AddressConfig,
    AddressKey,
    HostChange,
    HostState,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.reasons import services as reasons
from lvsctl.reasons.reason import Reason
from lvsctl.unicast import broadcast_addresses

VIP_LINK = LinkKey("lvs0")
"""lvsctl's dummy device: a VIP there is local, and never the source towards a real server."""

Addresses = Mapping[AddressKey, AddressConfig]
"""Addresses of this host with their options, each device's oldest first."""


@dataclass(frozen=True, slots=True)
class VipPlan:
    """The changes that lead to the wanted VIPs.

    Attributes:
        missing: Addresses to add for wanted VIPs that no device has.
        misplaced: Addresses to add for VIPs that lvsctl had put on another device; the old ones are
            removed once the new ones are there.
        drifted: Claimed addresses whose options were changed by another program.
        remove: Claimed addresses that are no longer wanted, at least not there.
        forget: Claims on addresses that are gone, or that belong to another program now.
    """

    missing: tuple[AddressKey, ...] = ()
    misplaced: tuple[AddressKey, ...] = ()
    drifted: tuple[AddressKey, ...] = ()
    remove: tuple[AddressKey, ...] = ()
    forget: tuple[AddressKey, ...] = ()

    @property
    def changes(self) -> Sequence[HostChange]:
        """The plan as changes of this host, in order."""
        return (
            *(HostChange(key, None) for key in self.remove),
            *(
                HostChange(key, vip_config(key))
                for key in (*self.drifted, *self.missing, *self.misplaced)
            ),
        )


def plan_vips(
    wanted: Collection[IPAddress], present: Addresses, claimed: Collection[AddressKey]
) -> VipPlan:
    """Compare the wanted VIPs with this host's addresses.

    A VIP that any device has already, with whatever prefix and options, is used as it is; only
    claimed addresses are ever edited, moved or removed.
    """
    ours = {key for key in claimed if key in present}
    theirs = {key.address.ip for key in present if key not in ours}
    placed: set[IPAddress] = {key.address.ip for key in ours}
    networks = networks_of({key: config for key, config in present.items() if key not in ours})
    places = {vip: vip_key(vip, networks, ours) for vip in wanted if vip not in theirs}
    at_home = {vip for vip, key in places.items() if key in ours}
    remove = [
        key
        for key in ours
        if key.address.ip not in wanted
        or (key.address.ip in at_home and key != places[key.address.ip])
    ]
    absent = [key for vip, key in places.items() if vip not in at_home]
    return VipPlan(
        missing=_sorted(key for key in absent if key.address.ip not in placed),
        misplaced=_sorted(key for key in absent if key.address.ip in placed),
        drifted=_sorted(key for key in ours.difference(remove) if present[key] != vip_config(key)),
        remove=_sorted(remove),
        forget=_sorted(set(claimed).difference(ours, places.values())),
    )


def _sorted(keys: Iterable[AddressKey]) -> tuple[AddressKey, ...]:
    return tuple(sorted(keys, key=lambda key: (key.address.version, int(key.address.ip), key.link)))


def networks_of(present: Addresses) -> Sequence[AddressKey]:
    """Return the IPv6 addresses that define the networks of links, longest prefix first."""
    return sorted(
        (
            key
            for key in present
            if key.address.version == 6  # noqa: PLR2004
            and not _alone(key)
            and not key.address.is_link_local
            and key.link not in {VIP_LINK.name, "lo"}
        ),
        key=lambda key: -key.address.network.prefixlen,
    )


def vip_key(
    vip: IPAddress, networks: Sequence[AddressKey] = (), ours: Collection[AddressKey] = ()
) -> AddressKey:
    """Return the address for a VIP on this host, as a /32 or /128.

    A shorter prefix would make the kernel choose the VIP as the source towards its neighbours.
    Neighbour discovery answers only for addresses of the very device that was asked, so an IPv6
    VIP is put on the device whose network it is in; where it is routed here, or asked for with
    ARP, it is on a device of our own.

    Args:
        vip: The address.
        networks: As of :func:`networks_of`.
        ours: Claimed addresses; one in a suitable place is kept there.
    """
    address = _alone_in_its_network(vip)
    on_link = [AddressKey(key.link, address) for key in networks if vip in key.address.network]
    standing = [key for key in on_link if key in ours]
    return next(iter([*standing, *on_link]), AddressKey(VIP_LINK.name, address))


@functools.lru_cache(maxsize=4096)  # each cycle asks for the same
def _alone_in_its_network(vip: IPAddress) -> IPv4Interface | IPv6Interface:
    return ip_interface(vip)


def vip_config(key: AddressKey) -> AddressConfig:
    """Return the options of a VIP: an IPv6 one is usable at once, and never a source.

    Duplicates are looked for before it is added. Were it not deprecated, the kernel could take it
    for the outer source of the packets to the real servers.
    """
    ipv6 = family_of(key.address.ip) is Family.IPV6
    return AddressConfig(nodad=ipv6, deprecated=ipv6)


def links_of(present: Collection[AddressKey]) -> Mapping[Family, frozenset[str]]:
    """Return the devices on which others may probe for a VIP."""
    return {
        family: frozenset(key.link for key in present if family_of(key.address.ip) is family)
        - {VIP_LINK.name, "lo"}
        for family in Family
    }


def answering_links(key: AddressKey, links: Mapping[Family, frozenset[str]]) -> frozenset[str]:
    """Return the devices on which this host answers for a VIP: IPv4's on all, IPv6's on its own.

    Args:
        key: Where the VIP is.
        links: As of :func:`links_of`.
    """
    family = family_of(key.address.ip)
    return links[family] & {key.link} if family is Family.IPV6 else links[family]


def own_addresses(
    present: Addresses, gateways: Collection[tuple[str, IPAddress]]
) -> Mapping[IPAddress, str]:
    """Return the addresses of this director, its networks and gateways, which cannot be VIPs.

    A device's own address is the first that has a network around it: one that stands alone (/32),
    or came later, may well be a VIP that somebody put there.
    """
    found: dict[IPAddress, str] = {gateway: f"the gateway on {link}" for link, gateway in gateways}
    seen: set[tuple[str, int]] = set()
    own: list[AddressKey] = []
    for key in present:
        of = (key.link, key.address.version)
        its_own = not (key.link == VIP_LINK.name or _alone(key) or key.address.is_link_local)
        if its_own and of not in seen:
            seen.add(of)
            own.append(key)
    found |= broadcast_addresses((key.link, key.address) for key in own)
    return found | {key.address.ip: f"this director ({key.link})" for key in own}


def _alone(key: AddressKey) -> bool:
    return key.address.network.num_addresses == 1


def answered(key: AddressKey, who: str) -> Reason:
    """Return why a VIP that another host answers for is not added to this director."""
    vip = key.address.ip
    is_arp = family_of(vip) is Family.IPV4
    kind = reasons.VIP_ANSWERED_ARP if is_arp else reasons.VIP_ANSWERED_ND
    return kind(vip, link=key.link, owner=who)


def arp_ignore_keys(links: Collection[str]) -> Sequence[SysctlKey]:
    """Return the parameters that decide whether this host answers ARP for a VIP on lvs0."""
    return [SysctlKey(("net", "ipv4", "conf", link, "arp_ignore")) for link in ("all", *links)]


def silenced(links: Collection[str], observed: HostState) -> Sequence[Reason]:
    """Return on which devices ARP cannot find a VIP that is on lvs0.

    The effective value is the greater of ``all`` and the device's own (ip-sysctl.rst).
    """
    values = {
        key.path[3]: int(config.value)
        for key, config in observed.items()
        if isinstance(key, SysctlKey) and isinstance(config, SysctlConfig)
    }
    return [
        reasons.VIP_SILENCED(link, value=effective)
        for link in sorted(links)
        if (effective := max(values.get("all", 0), values.get(link, 0)))
    ]


def unfit(
    vips: Collection[IPAddress], present: Addresses, claimed: Collection[AddressKey]
) -> Sequence[Reason]:
    """Return which IPv6 VIPs added by another program are on an unsuitable device."""
    others = {key: config for key, config in present.items() if key not in claimed}
    networks = networks_of(
        {key: each for key, each in others.items() if key.address.ip not in vips}
    )
    uplinks = {key.link for key in networks}
    found: list[Reason] = []
    for key, config in others.items():
        vip = key.address.ip
        if family_of(vip) is Family.IPV4 or vip not in vips:
            continue
        on_link = {network.link for network in networks if vip in network.address.network}
        if key.link in uplinks and not config.deprecated:
            found.append(reasons.VIP_IS_SOURCE(key, address=key.address, link=key.link))
        elif on_link and not any(AddressKey(link, key.address) in present for link in on_link):
            found.append(
                reasons.VIP_NOT_ANSWERED_FOR(
                    key, links=sorted(on_link), address=key.address, link=key.link
                )
            )
    return found
