"""The tunnel devices that the kernel makes by itself, and the modules that bring them.

Loading a tunnel module puts one *fallback device* into every network namespace. It takes packets
from any sender and cannot be deleted while the module is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FallbackDevice:
    """A fallback device.

    Attributes:
        module: The kernel module that brings it.
        kind: What rtnetlink calls its kind.
    """

    module: str
    kind: str


FALLBACK_DEVICES: Mapping[str, FallbackDevice] = MappingProxyType(
    {
        "tunl0": FallbackDevice("ipip", "ipip"),
        "gre0": FallbackDevice("ip_gre", "gre"),
        "sit0": FallbackDevice("sit", "sit"),
        "ip6tnl0": FallbackDevice("ip6_tunnel", "ip6tnl"),
        "ip6gre0": FallbackDevice("ip6_gre", "ip6gre"),
    }
)


def absent_message(name: str) -> str:
    """Return why a fallback device may be missing although its module was asked for."""
    module = FALLBACK_DEVICES[name].module
    return (
        f"{name} is absent even after modprobe {module}: the kernel has no such module, or "
        "net.core.fb_tunnels_only_for_init_net keeps fallback devices out of this network namespace"
    )
