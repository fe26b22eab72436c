"""Traffic that a tunnel would capture, and routing loops through it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType

from lvsctl.errors import Problem
from lvsctl.farm.tunnels import overlap
from lvsctl.host.interface import AddressKey, LinkConfig, RouteConfig, RouteKey
from lvsctl.messages.model import TunnelEnd
from lvsctl.net import IPAddress, IPNetwork

_PRIVATE: Mapping[int, tuple[IPNetwork, ...]] = MappingProxyType(
    {
        4: tuple(
            map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
        ),
        6: (ip_network("fc00::/7"),),
    }
)
"""By IP version: RFC 1918, RFC 6598 and RFC 4193."""
_TWO_HOSTS = 4
"""Addresses of a network that only has room for the two ends."""


@dataclass(frozen=True, slots=True)
class HostView:
    """The state of a host that matters for tunnels.

    Attributes:
        links: Its devices.
        addresses: Its addresses.
        routes: Routes of the main table.
        protected: Addresses whose traffic no tunnel may capture, each with its owner.
    """

    links: Mapping[str, LinkConfig]
    addresses: tuple[AddressKey, ...]
    routes: Mapping[RouteKey, RouteConfig] = field(default_factory=dict)
    protected: Mapping[IPAddress, str] = field(default_factory=dict)

    def output(self, remote: IPAddress) -> str | None:
        """Return the output device for an address; None without a route."""
        connected = [(key.address.network, key.link) for key in self.addresses]
        routed = [(key.destination, config.link) for key, config in self.routes.items()]
        found = [
            (network.prefixlen, link)
            for network, link in [*connected, *routed]
            if remote in network
        ]
        return max(found, key=lambda each: each[0])[1] if found else None


def captured_traffic(end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    """Yield the existing traffic that the inner networks of an end would capture."""
    for index, address in enumerate(end.addresses):
        pointer, network = f"/addresses/{index}", address.network
        for protected, whose in host.protected.items():
            if protected in network:
                yield Problem(
                    pointer,
                    f"{network} would capture packets to {protected}, {whose}",
                    "a network without it",
                )
        for name, link in host.links.items():
            if name != end.link and link.remote is not None and link.remote in network:
                yield Problem(
                    pointer,
                    f"{network} would capture the packets of tunnel {name} to {link.remote}",
                    "a network without it",
                )
        yield from _routes(pointer, network, end, host)


def _routes(pointer: str, network: IPNetwork, end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    connected = {key.address.network for key in host.addresses}
    for key, config in host.routes.items():
        if config.link == end.link or key.destination.version != network.version:
            continue
        by = f"the route {key.destination} by {config.link or config.type}"
        if key.destination.prefixlen == 0:
            if not _holds_no_clients(network):
                yield Problem(
                    pointer,
                    f"{network} would capture clients' packets from {by}",
                    "a private network, or one of two hosts",
                )
        elif key.destination not in connected and overlap(key.destination, network):
            yield Problem(
                pointer, f"{network} would capture packets of {by}", "a network without a route"
            )


def _holds_no_clients(network: IPNetwork) -> bool:
    """Tell whether no clients of a public service can be in a network."""
    private = any(overlap(network, each) for each in _PRIVATE[network.version])
    return private or network.num_addresses <= _TWO_HOSTS


def routing_loops(end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    """Yield a problem if an end's packets would be routed back to its own device."""
    through: list[str] = []
    remote, device = end.remote, end.device
    while True:
        out = device or _output(remote, end, host)
        if out is None:
            return
        if out == end.link or out in through:
            way = " and ".join(through) or "its own device"
            yield Problem(
                "/remote",
                f"packets to {end.remote} would loop: they leave through {way}",
                "another route to the other host, or another inner network",
            )
            return
        link = host.links.get(out)
        if link is None or link.remote is None:
            return
        through.append(out)
        remote, device = link.remote, link.underlay


def _output(remote: IPAddress, end: TunnelEnd, host: HostView) -> str | None:
    if any(remote in address.network for address in end.addresses):
        return end.link
    return host.output(remote)
