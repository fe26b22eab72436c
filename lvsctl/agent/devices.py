"""What a real server is to serve, and the devices that it needs. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lvsctl.agent.sysctls import ipv6_is_off
from lvsctl.host.interface import Config, HostChange, HostKey, HostState, LinkKey
from lvsctl.host.receivers import (
    TunnelDevice,
    device_of,
    excludes,
    is_supported,
    port_of,
    twin_of,
)
from lvsctl.messages.model import Tunnel
from lvsctl.net import Family, IPAddress, family_of


@dataclass(frozen=True, slots=True)
class ServingSpec:
    """What a real server is to serve.

    Attributes:
        vips: The VIPs.
        tunnels: The types of tunnel to accept.
        address: The real server's own address (RIP).
        mtu: Largest outer packet that the network passes; None to use the routes' MTU.
    """

    vips: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    address: IPAddress
    mtu: int | None = None

    @property
    def servable_tunnels(self) -> tuple[Tunnel, ...]:
        """The tunnels that this agent knows how to accept."""
        return tuple(tunnel for tunnel in self.tunnels if is_supported(tunnel))

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
    """A tunnel for VIPs of one family.

    Attributes:
        tunnel: The tunnel.
        vip: The family.
        needs: Device and UDP port.
    """

    tunnel: Tunnel
    vip: Family
    needs: tuple[HostKey, ...]


class DeviceSelection:
    """Chooses the device for each tunnel and family of VIPs.

    Attributes:
        tunnels: Those that are accepted.
        excluded: Those that cannot be accepted beside another one.
        devices: The chosen device for each link.
    """

    def __init__(
        self,
        spec: ServingSpec,
        observed: HostState,
        missing_fallbacks: Collection[str],
        refused: Collection[HostChange],
    ) -> None:
        self._spec = spec
        self._rip = family_of(spec.address)
        self._observed = observed
        self._missing_fallbacks = missing_fallbacks
        self._refused = refused
        tunnels = spec.servable_tunnels
        # Of two that exclude each other, the one whose own device exists is kept.
        in_order = sorted(tunnels, key=lambda tunnel: not self._device_exists(tunnel))
        self.tunnels: list[Tunnel] = []
        for tunnel in in_order:
            if not any(excludes(tunnel, other) for other in self.tunnels):
                self.tunnels.append(tunnel)
        self.excluded = tuple(tunnel for tunnel in tunnels if tunnel not in self.tunnels)
        self.devices: dict[LinkKey, TunnelDevice] = {}
        for tunnel in tunnels:
            for vip in spec.families:
                device = device_of(tunnel, vip, self._rip)
                link = self._link(device)
                if tunnel in self.tunnels and self._is_available(link, device):
                    self.devices[link] = device

    def absent(self) -> list[LinkKey]:
        """Return the devices that do not exist yet."""
        return [link for link in self.devices if self._observed[link] is None]

    def conflicting(self) -> Iterator[LinkKey]:
        """Yield the devices to remove before the absent ones can be created."""
        for link in self.absent():
            twin = twin_of(self.devices[link])
            if twin is not None and self._observed[LinkKey(twin.own)] is not None:
                yield LinkKey(twin.own)

    def config(self, link: LinkKey, *, up: bool) -> Config:
        """Return what a device should be, up or down."""
        return self.devices[link].config(link, self._spec.address, up=up)

    def links(self, vip: Family) -> list[LinkKey]:
        """Return the devices for VIPs of a family."""
        if vip not in self._spec.families:
            return []
        needed = [self._link(device_of(tunnel, vip, self._rip)) for tunnel in self.tunnels]
        return [link for link in self.devices if link in needed]

    def ports(self) -> list[HostKey]:
        """Return the UDP ports to open."""
        found = [port_of(tunnel, self._rip) for tunnel in self.tunnels if self.devices]
        return [*dict.fromkeys(filter(None, found))]

    def carriers(self) -> Iterator[Carrier]:
        """Yield each tunnel with a family of VIPs that it carries."""
        for tunnel in self.tunnels:
            for vip in self._spec.families:
                link = self._link(device_of(tunnel, vip, self._rip))
                off = vip is Family.IPV6 and ipv6_is_off(link.name, self._observed)
                if link in self.devices and not off:
                    port = port_of(tunnel, self._rip)
                    yield Carrier(tunnel, vip, (link, port) if port else (link,))

    def _device_exists(self, tunnel: Tunnel) -> bool:
        return any(
            self._observed[LinkKey(device_of(tunnel, vip, self._rip).own)] is not None
            for vip in self._spec.families
        )

    def _is_available(self, link: LinkKey, device: TunnelDevice) -> bool:
        making = HostChange(link, device.config(link, self._spec.address, up=False))
        return self._observed[link] is not None or making not in self._refused

    def _link(self, device: TunnelDevice) -> LinkKey:
        own = LinkKey(device.own)
        if device.fallback is None or device.fallback in self._missing_fallbacks:
            return own
        return LinkKey(device.fallback) if self._observed[own] is None else own
