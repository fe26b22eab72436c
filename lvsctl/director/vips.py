"""Which VIPs to put on the director's own device, and which of ours to take off it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from lvsctl.host.protocol import (
    AddressConfig,
    AddressKey,
    HostChange,
    HostState,
    LinkKey,
    SysctlConfig,
    SysctlKey,
)
from lvsctl.ipvs_table import IPAddress

VIP_LINK = LinkKey("lvs0")
"""A dummy device of our own: a VIP there is local, and never a source towards a real server."""


@dataclass(frozen=True, slots=True)
class VipPlan:
    """What leads to the wanted VIPs.

    Attributes:
        missing: Wanted VIPs that no device has, sorted.
        remove: Addresses that we added and that nothing wants any more.
        forget: Claims on addresses that are gone, or that are somebody else's to keep now.
    """

    missing: Sequence[IPAddress]
    remove: Sequence[AddressKey]
    forget: Sequence[AddressKey]

    @property
    def changes(self) -> Sequence[HostChange]:
        """The same as changes of this host, in order."""
        return (
            *(HostChange(key, None) for key in self.remove),
            *(HostChange(vip_key(vip), AddressConfig()) for vip in self.missing),
        )


NOTHING = VipPlan((), (), ())


def plan_vips(
    wanted: Collection[IPAddress], present: Collection[AddressKey], claimed: Collection[AddressKey]
) -> VipPlan:
    """Compare the VIPs that should be local with the addresses that are.

    A VIP that any device has already, with whatever prefix, is used as it is; only addresses that
    we added are ever removed.
    """
    local = {key.address.ip for key in present}
    missing = sorted(set(wanted) - local, key=lambda vip: (vip.version, int(vip)))
    stale = [key for key in claimed if key.address.ip not in wanted]
    return VipPlan(
        missing=missing,
        remove=[key for key in stale if key in present],
        forget=[key for key in stale if key not in present],
    )


def vip_key(vip: IPAddress) -> AddressKey:
    """Return the address that a VIP is on our device: alone in its network.

    A shorter prefix would make the kernel choose the VIP as the source towards its neighbours.
    """
    bits = 32 if vip.version == 4 else 128  # noqa: PLR2004
    text = f"{vip}/{bits}"
    return AddressKey(
        VIP_LINK.name,
        IPv4Interface(text) if vip.version == 4 else IPv6Interface(text),  # noqa: PLR2004
    )


def arp_links(present: Collection[AddressKey]) -> frozenset[str]:
    """Return the devices on which others may ask for a VIP: those with an IPv4 address."""
    return frozenset(key.link for key in present if key.address.version == 4) - {  # noqa: PLR2004
        VIP_LINK.name,
        "lo",
    }


def answered(vip: IPAddress, who: str) -> str:
    """Return why a VIP that another host answers for is not on this director."""
    return (
        f"{vip} is not on this director: {who} answers ARP for it. A real server must have "
        "arp_ignore=1 before it has the VIP; another director must give it up first. It is asked "
        "again every 5 s"
    )


def arp_ignore_keys(links: Collection[str]) -> Sequence[SysctlKey]:
    """Return the parameters that decide whether this host answers ARP for a VIP on our device."""
    return [SysctlKey(("net", "ipv4", "conf", link, "arp_ignore")) for link in ("all", *links)]


def silenced(links: Collection[str], observed: HostState) -> Sequence[str]:
    """Return, in words, on which devices nobody can find a VIP that is on ours.

    The effective value is the greater of ``all`` and the device's own (ip-sysctl.rst).
    """
    values = {
        key.path[3]: int(config.value)
        for key, config in observed.items()
        if isinstance(key, SysctlKey) and isinstance(config, SysctlConfig)
    }
    return [
        f"{link}: arp_ignore is {effective}, so clients on this link cannot resolve a VIP; set "
        f"net.ipv4.conf.all.arp_ignore and net.ipv4.conf.{link}.arp_ignore to 0"
        for link in sorted(links)
        if (effective := max(values.get("all", 0), values.get(link, 0)))
    ]
