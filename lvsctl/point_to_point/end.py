"""One host's end of a tunnel: its desired state, and what prevents it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lvsctl.errors import Problem
from lvsctl.farm.tunnels import overlap
from lvsctl.host.interface import AddressConfig, AddressKey, Host, HostState, LinkConfig, LinkKey
from lvsctl.host.plan import satisfies
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.point_to_point.routes import HostView, captured_traffic, routing_loops

_KINDS: Mapping[tuple[TunnelMode, Family], str] = {
    (TunnelMode.IPIP, Family.IPV4): "ipip",
    (TunnelMode.GRE, Family.IPV4): "gre",
    (TunnelMode.GRETAP, Family.IPV4): "gretap",
    (TunnelMode.GRE, Family.IPV6): "ip6gre",
}
"""The rtnetlink kind of each mode, by the family of the outer packets."""


def observe_links(host: Host) -> HostView:
    """Observe a host's devices and addresses.

    Raises:
        KernelError: It cannot be read.
    """
    observed = host.observe([LinkKey(name) for name in host.links()])
    links = {str(key): link for key, link in observed.items() if isinstance(link, LinkConfig)}
    return HostView(links, tuple(host.addresses()))


def observe_host(host: Host, protected: Mapping[IPAddress, str]) -> HostView:
    """Observe a host's devices, addresses and routes; there may be many routes.

    Args:
        host: The host.
        protected: Addresses whose traffic no tunnel may capture, each with its owner.

    Raises:
        KernelError: It cannot be read.
    """
    routes = {key: route for family in Family for key, route in host.routes(family).items()}
    gateways = {gateway: f"the gateway on {link}" for link, gateway in host.gateways()}
    return replace(observe_links(host), routes=routes, protected={**gateways, **protected})


def desired_link(end: TunnelEnd) -> LinkConfig:
    """Return the desired device of an end."""
    return LinkConfig(
        kind=_KINDS[end.mode, family_of(end.local)],
        up=True,
        mtu=end.mtu,
        local=end.local,
        remote=end.remote,
        underlay=end.device,
        key=end.key,
        ttl=end.ttl,
    )


def desired_state(end: TunnelEnd) -> HostState:
    """Return everything an end needs, in order; without IPv6 DAD, as there is one neighbour."""
    addresses: HostState = {
        AddressKey(end.link, address): AddressConfig(nodad=family_of(address.ip) is Family.IPV6)
        for address in end.addresses
    }
    return {LinkKey(end.link): desired_link(end), **addresses}


def is_device_of(end: TunnelEnd, observed: LinkConfig | None) -> bool:
    """Tell whether a device is an end's, even if settings were changed since."""
    desired = desired_link(end)
    return observed is not None and (
        observed.kind,
        observed.local,
        observed.remote,
        observed.key,
    ) == (
        desired.kind,
        desired.local,
        desired.remote,
        desired.key,
    )


def must_recreate(end: TunnelEnd, observed: LinkConfig) -> bool:
    """Tell whether somebody changed a setting that can only be made at creation."""
    desired = desired_link(end)
    return replace(observed, up=desired.up, mtu=desired.mtu) != desired


def fits_in_place(old: TunnelEnd, new: TunnelEnd) -> bool:
    """Tell whether one end can be changed into the other in place."""
    kept = replace(desired_link(old), mtu=None) == replace(desired_link(new), mtu=None)
    return kept and (old.mtu == new.mtu or new.mtu is not None)


def obstacles(end: TunnelEnd, host: HostView, *, present: bool) -> Iterator[Problem]:
    """Yield why a host cannot have an end; the pointers are fields of the end.

    The kernel accepts a local address that the host does not have, and the tunnel then carries
    nothing; so that is checked here.

    Args:
        end: The end to add.
        host: The host as it is.
        present: The end's device already exists and is ours.
    """
    own = {key.address.ip: key.link for key in host.addresses if key.link != end.link}
    if end.local not in own:
        has = ", ".join(str(address) for address in own if not address.is_loopback)
        yield Problem("/local", f"{end.local} is not an address of this host", has)
    if end.remote in own:
        yield Problem("/remote", f"{end.remote} is this host itself", "the other host's address")
    if end.device is not None and end.device not in host.links:
        yield Problem("/device", f"there is no device {end.device}", ", ".join(host.links))
    if not present and end.link in host.links:
        yield Problem("/link", f"this host already has a device {end.link}", "another name")
    yield from _pair_in_use(end, host)
    yield from _overlaps(end, host)
    yield from captured_traffic(end, host)
    yield from routing_loops(end, host)


def _pair_in_use(end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    for name, link in host.links.items():
        if name != end.link and is_device_of(end, link):
            key = "" if end.key is None else f" with key {end.key}"
            yield Problem(
                "/remote",
                f"{name} already joins {end.local} and {end.remote} by {link.kind}{key}",
                "another pair of addresses, or gre or gretap with a key of its own",
            )


def _overlaps(end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    for index, address in enumerate(end.addresses):
        for key in host.addresses:
            if key.link != end.link and overlap(key.address.network, address.network):
                yield Problem(
                    f"/addresses/{index}",
                    f"{address} overlaps {key.address} on {key.link}",
                    "a network that this host does not have",
                )


def down_reason(end: TunnelEnd, host: HostView) -> str:
    """Return why an end cannot carry packets; empty if nothing on this host prevents it."""
    link = host.links.get(end.link)
    if link is None:
        return f"{end.link} is missing"
    if not is_device_of(end, link):
        return f"{end.link} is another device, of kind {link.kind or 'hardware'}"
    if not link.up:
        return f"{end.link} is down"
    below = next((key.link for key in host.addresses if key.address.ip == end.local), None)
    if below is None:
        return f"{end.local}, the source of its packets, is no longer an address of this host"
    for name in dict.fromkeys(filter(None, [end.device, below])):
        if name not in host.links:
            return f"{name}, its underlay device, is missing"
        if not host.links[name].up:
            return f"{name}, its underlay device, is down"
    present = {key.address for key in host.addresses if key.link == end.link}
    missing = [str(address) for address in end.addresses if address not in present]
    if missing:
        return f"{', '.join(missing)} is missing from {end.link}"
    if not satisfies(desired_link(end), link):
        return f"{end.link} has other settings: {_difference(end, link)}"
    return ""


def _difference(end: TunnelEnd, link: LinkConfig) -> str:
    desired = desired_link(end)
    pairs = (
        ("mtu", link.mtu, end.mtu),
        ("device", link.underlay, desired.underlay),
        ("ttl", link.ttl, desired.ttl),
        ("checksum", link.checksum, desired.checksum),
    )
    return ", ".join(
        f"{name} {observed} instead of {asked}"
        for name, observed, asked in pairs
        if observed != asked and not (name == "mtu" and asked is None)
    )
