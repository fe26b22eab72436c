"""What a real server needs to take tunnelled packets, by type of tunnel."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lvsctl.host.protocol import LinkConfig, LinkKey
from lvsctl.ipvs_table import IPAddress


@dataclass(frozen=True, slots=True)
class TunnelDevice:
    """The device that unwraps one type of tunnel, for IPv4 inside IPv4.

    Attributes:
        fallback: The kernel's own device, which takes packets from any sender.
        kind: What rtnetlink calls the kind of both devices.
        own: The device that is made where the namespace has no fallback device.
    """

    fallback: str
    kind: str
    own: str

    @property
    def names(self) -> tuple[str, str]:
        """Both names that the device can have."""
        return (self.fallback, self.own)

    def config(self, link: LinkKey, address: IPAddress, *, up: bool) -> LinkConfig:
        """Return how the device should be.

        Args:
            link: The fallback device or our own.
            address: The real server's; our own device takes packets for it only.
            up: Administrative state.
        """
        return LinkConfig(self.kind, up=up, local=None if link.name == self.fallback else address)


TUNNEL_DEVICES: Mapping[str, TunnelDevice] = MappingProxyType(
    {"ipip": TunnelDevice(fallback="tunl0", kind="ipip", own="lvs-ipip")}
)
"""By the type that an assignment names."""
