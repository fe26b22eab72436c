"""What a host needs to decapsulate tunnelled packets. Pure.

Sources, for what each device accepts: ``net/ipv4/{ipip,ip_gre}.c``,
``net/ipv6/{sit,ip6_tunnel,ip6_gre}.c``, ``net/ipv4/fou_core.c``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lvsctl.agent.devices import ServingSpec
from lvsctl.doctor.packets import GRE, INNER_PROTOCOL, UDP
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import FouPortKey, HostState, LinkConfig, LinkKey
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of

_FOU_MODULE = "fou"
"""Decapsulates in both families; fou6 is for devices that encapsulate, as a director's would."""
_IP_DEVICES: Mapping[tuple[Family, Family], str] = MappingProxyType(
    {
        (Family.IPV4, Family.IPV4): "tunl0",
        (Family.IPV6, Family.IPV4): "sit0",
        (Family.IPV6, Family.IPV6): "ip6tnl0",
        (Family.IPV4, Family.IPV6): "ip6tnl0",
    }
)
"""By inner and outer family."""
_GRE_DEVICES: Mapping[Family, str] = MappingProxyType({Family.IPV4: "gre0", Family.IPV6: "ip6gre0"})


@dataclass(frozen=True, slots=True)
class TunnelRequirement:
    """What one type of tunnel requires for VIPs of one family.

    Attributes:
        tunnel: The tunnel.
        inner: Family of the VIPs.
        rip: The real server's address.
        fallback: Name of the kernel's fallback device for such packets.
    """

    tunnel: Tunnel
    inner: Family
    rip: IPAddress
    fallback: str

    def __str__(self) -> str:
        return f"{self.tunnel.type} ({self.inner} in {family_of(self.rip)})"

    @property
    def kind(self) -> str:
        """Kind of the device (IFLA_INFO_KIND)."""
        return FALLBACK_DEVICES[self.fallback].kind

    @property
    def modules(self) -> tuple[str, ...]:
        """Kernel modules, the device's first."""
        device = FALLBACK_DEVICES[self.fallback].module
        return (device, _FOU_MODULE) if self.tunnel.type == "gue" else (device,)

    @property
    def fou_port(self) -> FouPortKey | None:
        """The UDP port that must decapsulate; None for tunnels other than gue."""
        return (
            FouPortKey(family_of(self.rip), self.tunnel.port) if self.tunnel.type == "gue" else None
        )

    @property
    def protocol(self) -> int:
        """IP protocol of the outer packets."""
        match self.tunnel.type:
            case "gue":
                return UDP
            case "gre":
                return GRE
            case _:
                return INNER_PROTOCOL[self.inner]

    @property
    def _needs_own_device(self) -> bool:
        """Whether the fallback device is not enough: gre0 drops checksums, ip6tnl0 drops IPv4."""
        mixed = self.inner is Family.IPV4 and self.kind == "ip6tnl"
        return mixed or (self.tunnel.type == "gre" and self.tunnel.checksum)

    def accepted_by(self, name: str, config: LinkConfig) -> bool:
        """Tell whether a device accepts such packets once it is up."""
        if config.kind != self.kind or config.local not in {None, self.rip}:
            return False
        if self._needs_own_device and name == self.fallback:
            return False
        if self.kind == "ip6tnl" and self.inner is Family.IPV4 and not config.any_protocol:
            return False
        return config.checksum == (self.tunnel.type == "gre" and self.tunnel.checksum)

    def devices(self, state: HostState) -> Mapping[str, LinkConfig]:
        """Return the devices that accept such packets, whether up or down."""
        return {
            key.name: config
            for key, config in state.items()
            if isinstance(key, LinkKey)
            and isinstance(config, LinkConfig)
            and self.accepted_by(key.name, config)
        }

    @property
    def cure(self) -> str:
        """The command that brings up such a device."""
        if not self._needs_own_device:
            module = FALLBACK_DEVICES[self.fallback].module
            return f"modprobe {module} && ip link set {self.fallback} up"
        options = "icsum " if self.tunnel.type == "gre" else "mode any remote :: "
        return f"ip link add lvs-{self.kind} up type {self.kind} {options}local {self.rip}"


def requirements_of(spec: ServingSpec) -> Iterator[TunnelRequirement]:
    """Yield the requirements of each tunnel and family of VIPs."""
    outer = family_of(spec.address)
    for tunnel in spec.tunnels:
        for inner in sorted({family_of(vip) for vip in spec.vips}):
            fallback = _GRE_DEVICES[outer] if tunnel.type == "gre" else _IP_DEVICES[inner, outer]
            yield TunnelRequirement(tunnel, inner, spec.address, fallback)
