"""What a real server needs to take tunnelled packets, by type of tunnel and families."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType

from lvsctl.host.interface import FouPortKey, LinkConfig, LinkKey
from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress


@dataclass(frozen=True, slots=True)
class TunnelDevice:
    """A device that unwraps tunnelled packets.

    Attributes:
        own: The device that is made where there is no fallback device, or none that will do; it
            takes packets for the real server's address only.
        kind: What rtnetlink calls the kind of both devices.
        fallback: The kernel's own device, which takes packets from any sender.
        checksum: It takes packets with a GRE checksum, and no others.
        any_protocol: An ip6tnl device that takes both families.
    """

    own: str
    kind: str
    fallback: str | None = None
    checksum: bool = False
    any_protocol: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the device can have."""
        return (self.own,) if self.fallback is None else (self.fallback, self.own)

    def config(self, link: LinkKey, address: IPAddress, *, up: bool) -> LinkConfig:
        """Return how the device should be.

        Args:
            link: The fallback device or our own.
            address: The real server's.
            up: Administrative state.
        """
        if link.name == self.fallback:
            return LinkConfig(self.kind, up=up)
        return LinkConfig(
            self.kind,
            up=up,
            local=address,
            checksum=self.checksum,
            any_protocol=self.any_protocol,
        )


_IPIP = TunnelDevice("lvs-ipip", "ipip", fallback="tunl0")
_SIT = TunnelDevice("lvs-sit", "sit", fallback="sit0")
# ip6tnl0 takes no IPv4, and beside a device of our own for the same address it takes nothing.
_IP6TNL = TunnelDevice("lvs-ip6tnl", "ip6tnl", any_protocol=True)

_UNWRAPPING: Mapping[tuple[Family, Family], TunnelDevice] = MappingProxyType(
    {
        (Family.IPV4, Family.IPV4): _IPIP,
        (Family.IPV4, Family.IPV6): _SIT,
        (Family.IPV6, Family.IPV4): _IP6TNL,
        (Family.IPV6, Family.IPV6): _IP6TNL,
    }
)
"""For a bare outer header, by the families of the real server's address and of the VIP."""

_GRE: Mapping[tuple[Family, bool], TunnelDevice] = MappingProxyType(
    {
        (Family.IPV4, False): TunnelDevice("lvs-gre", "gre", fallback="gre0"),
        # gre0 drops packets with a checksum (ip_tunnel_rcv in net/ipv4/ip_tunnel.c).
        (Family.IPV4, True): TunnelDevice("lvs-gre-csum", "gre", checksum=True),
        (Family.IPV6, False): TunnelDevice("lvs-ip6gre", "ip6gre"),
        (Family.IPV6, True): TunnelDevice("lvs-ip6gre-csum", "ip6gre", checksum=True),
    }
)
"""By the family of the real server's address, and whether GRE headers carry a checksum."""

TUNNEL_NAMES = frozenset(
    name for device in (*_UNWRAPPING.values(), *_GRE.values()) for name in device.names
)
"""Every device that may be used for tunnels from directors."""


def is_supported(tunnel: Tunnel) -> bool:
    """Tell whether this agent knows how to accept a tunnel."""
    match tunnel.type:
        case "ipip" | "gre":
            return True
        case "gue":
            return tunnel.port > 0
        case _:
            return False


def device_of(tunnel: Tunnel, vip: Family, rip: Family) -> TunnelDevice:
    """Return the device that a known tunnel needs for VIPs of a family."""
    if tunnel.type == "gre":
        return _GRE[rip, tunnel.checksum]
    return _UNWRAPPING[rip, vip]


def port_of(tunnel: Tunnel, rip: Family) -> FouPortKey | None:
    """Return the UDP port that a known tunnel needs, None if it is not over UDP."""
    return FouPortKey(rip, tunnel.port) if tunnel.type == "gue" else None


def encapsulation(tunnel: Tunnel) -> Encapsulation:
    """Return what packets of a known tunnel are wrapped in."""
    flags = TunnelFlag.CHECKSUM if tunnel.checksum else TunnelFlag(0)
    return Encapsulation(TunnelType[tunnel.type.upper()], tunnel.port, flags)


def tunnel_of(encapsulation: Encapsulation) -> Tunnel:
    """Return what an agent is told of an encapsulation, and reports of it."""
    checksum = TunnelFlag.CHECKSUM in encapsulation.flags
    return Tunnel(str(encapsulation.type), encapsulation.port, checksum)


def excludes(first: Tunnel, second: Tunnel) -> bool:
    """Tell whether two tunnels cannot be accepted at one address at once.

    GRE with and without a checksum: the device with checksum takes all GRE packets for the
    address, and drops those without.
    """
    return first.type == second.type == "gre" and first.checksum != second.checksum


def twin_of(device: TunnelDevice) -> TunnelDevice | None:
    """Return the device whose own one cannot be there at once, as both have the same ends."""
    for (rip, checksum), candidate in _GRE.items():
        if candidate == device:
            return _GRE[rip, not checksum]
    return None


def tunnels_of(links: AbstractSet[str], ports: Iterable[int]) -> tuple[Tunnel, ...]:
    """Return the tunnels that these devices and UDP ports were made for."""
    found = [Tunnel("ipip")] if any(_uses(device, links) for device in _UNWRAPPING.values()) else []
    found += [
        Tunnel("gre", checksum=checksum)
        for (_, checksum), device in _GRE.items()
        if _uses(device, links)
    ]
    return (*found, *(Tunnel("gue", port=port) for port in ports))


def _uses(device: TunnelDevice, links: AbstractSet[str]) -> bool:
    return not links.isdisjoint(device.names)
