"""What a host needs to take packets out of a tunnel. Pure.

Source: KERNEL.md's measurements, and for what each device takes ``net/ipv4/{ipip,ip_gre}.c``,
``net/ipv6/{sit,ip6_tunnel,ip6_gre}.c``, ``net/ipv4/fou_core.c``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lvsctl.agent.desired_host import ServingSpec
from lvsctl.doctor.packets import GRE, INNER_PROTOCOL, UDP
from lvsctl.host.fallback import FALLBACK_DEVICES
from lvsctl.host.interface import FouPortKey, HostState, LinkConfig, LinkKey
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of

_FOU_MODULE = "fou"
"""Unwraps in both families; fou6 is for devices that wrap, which a real server has none of."""
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
class Need:
    """What one type of tunnel needs for VIPs of one family.

    Attributes:
        tunnel: As it is assigned.
        inner: Family of the VIPs.
        rip: The real server's address.
        fallback: The kernel's own device of the kind that takes such packets.
    """

    tunnel: Tunnel
    inner: Family
    rip: IPAddress
    fallback: str

    def __str__(self) -> str:
        return f"{self.tunnel.type} ({self.inner} in {family_of(self.rip)})"

    @property
    def kind(self) -> str:
        """Kind of the device, in rtnetlink's words."""
        return FALLBACK_DEVICES[self.fallback].kind

    @property
    def modules(self) -> tuple[str, ...]:
        """Kernel modules, the device's first."""
        device = FALLBACK_DEVICES[self.fallback].module
        return (device, _FOU_MODULE) if self.tunnel.type == "gue" else (device,)

    @property
    def fou_port(self) -> FouPortKey | None:
        """The UDP port that must unwrap; None for other tunnels than gue."""
        return (
            FouPortKey(family_of(self.rip), self.tunnel.port) if self.tunnel.type == "gue" else None
        )

    @property
    def protocol(self) -> int:
        """Protocol of the outer packets."""
        match self.tunnel.type:
            case "gue":
                return UDP
            case "gre":
                return GRE
            case _:
                return INNER_PROTOCOL[self.inner]

    @property
    def _own_only(self) -> bool:
        """Whether the fallback device does not do: gre0 drops checksums, ip6tnl0 drops IPv4."""
        mixed = self.inner is Family.IPV4 and self.kind == "ip6tnl"
        return mixed or (self.tunnel.type == "gre" and self.tunnel.checksum)

    def taken_by(self, name: str, config: LinkConfig) -> bool:
        """Tell whether a device takes such packets once it is up."""
        if config.kind != self.kind or config.local not in {None, self.rip}:
            return False
        if self._own_only and name == self.fallback:
            return False
        if self.kind == "ip6tnl" and self.inner is Family.IPV4 and not config.any_protocol:
            return False
        return config.checksum == (self.tunnel.type == "gre" and self.tunnel.checksum)

    def devices(self, state: HostState) -> Mapping[str, LinkConfig]:
        """Return the devices that take such packets, up or not."""
        return {
            key.name: config
            for key, config in state.items()
            if isinstance(key, LinkKey)
            and isinstance(config, LinkConfig)
            and self.taken_by(key.name, config)
        }

    @property
    def cure(self) -> str:
        """The command that brings such a device."""
        if not self._own_only:
            module = FALLBACK_DEVICES[self.fallback].module
            return f"modprobe {module} && ip link set {self.fallback} up"
        options = "icsum " if self.tunnel.type == "gre" else "mode any remote :: "
        return f"ip link add lvs-{self.kind} up type {self.kind} {options}local {self.rip}"


def needs_of(task: ServingSpec) -> Iterator[Need]:
    """Yield what a task needs, for each of its tunnels and families of VIPs."""
    outer = family_of(task.address)
    for tunnel in task.tunnels:
        for inner in sorted({family_of(vip) for vip in task.vips}):
            fallback = _GRE_DEVICES[outer] if tunnel.type == "gre" else _IP_DEVICES[inner, outer]
            yield Need(tunnel, inner, task.address, fallback)
