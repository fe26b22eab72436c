"""One host's end of a tunnel: what the host must have for it, and what stands in the way. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lvsctl.errors import Problem
from lvsctl.farm.tunnels import overlap
from lvsctl.host.interface import AddressConfig, AddressKey, Host, HostState, LinkConfig, LinkKey
from lvsctl.host.plan import satisfies
from lvsctl.messages.model import TunnelEnd, TunnelMode
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.point_to_point.routes import HostView, loops, taken_traffic

_KINDS: Mapping[tuple[TunnelMode, Family], str] = {
    (TunnelMode.IPIP, Family.IPV4): "ipip",
    (TunnelMode.GRE, Family.IPV4): "gre",
    (TunnelMode.GRETAP, Family.IPV4): "gretap",
    (TunnelMode.GRE, Family.IPV6): "ip6gre",
}
"""What rtnetlink calls each mode, by the family of the outer packets."""


def view_of(host: Host) -> HostView:
    """Look at a host's devices and addresses.

    Raises:
        KernelError: It cannot be read.
    """
    observed = host.observe([LinkKey(name) for name in host.links()])
    links = {str(key): link for key, link in observed.items() if isinstance(link, LinkConfig)}
    return HostView(links, tuple(host.addresses()))


def whole_view_of(host: Host, protected: Mapping[IPAddress, str]) -> HostView:
    """Look at a host's routes too, which may be many.

    Args:
        host: The host.
        protected: Addresses that no tunnel may take, each with whose it is.

    Raises:
        KernelError: It cannot be read.
    """
    routes = {key: route for family in Family for key, route in host.routes(family).items()}
    gateways = {gateway: f"the gateway on {link}" for link, gateway in host.gateways()}
    return replace(view_of(host), routes=routes, protected={**gateways, **protected})


def wanted_link(end: TunnelEnd) -> LinkConfig:
    """Return the device of an end."""
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


def wanted_state(end: TunnelEnd) -> HostState:
    """Return all that an end needs, in order. IPv6 finds no duplicates: there is one neighbour."""
    addresses: HostState = {
        AddressKey(end.link, address): AddressConfig(nodad=family_of(address.ip) is Family.IPV6)
        for address in end.addresses
    }
    return {LinkKey(end.link): wanted_link(end), **addresses}


def is_device_of(end: TunnelEnd, seen: LinkConfig | None) -> bool:
    """Tell whether a device is an end's, whatever was set on it since."""
    wanted = wanted_link(end)
    return seen is not None and (seen.kind, seen.local, seen.remote, seen.key) == (
        wanted.kind,
        wanted.local,
        wanted.remote,
        wanted.key,
    )


def has_to_be_made_again(end: TunnelEnd, seen: LinkConfig) -> bool:
    """Tell whether somebody changed on an end's device what is set when it is made."""
    wanted = wanted_link(end)
    return replace(seen, up=wanted.up, mtu=wanted.mtu) != wanted


def fits_in_place(old: TunnelEnd, new: TunnelEnd) -> bool:
    """Tell whether one end becomes the other without a device of its own."""
    kept = replace(wanted_link(old), mtu=None) == replace(wanted_link(new), mtu=None)
    return kept and (old.mtu == new.mtu or new.mtu is not None)


def obstacles(end: TunnelEnd, host: HostView, *, present: bool) -> Iterator[Problem]:
    """Yield why a host cannot have an end; the pointers are fields of the end.

    The kernel takes a local address that the host does not have without a word, and the tunnel
    then answers nothing; so that is looked at here.

    Args:
        end: What is asked for.
        host: As it is.
        present: The end's device is there already and ours.
    """
    own = {key.address.ip: key.link for key in host.addresses if key.link != end.link}
    if end.local not in own:
        has = ", ".join(str(address) for address in own if not address.is_loopback)
        yield Problem("/local", f"{end.local} is no address of this host", has)
    if end.remote in own:
        yield Problem("/remote", f"{end.remote} is this host itself", "the other host's address")
    if end.device is not None and end.device not in host.links:
        yield Problem("/device", f"there is no device {end.device}", ", ".join(host.links))
    if not present and end.link in host.links:
        yield Problem("/link", f"this host has a device {end.link} already", "another name")
    yield from _pair_in_use(end, host)
    yield from _overlaps(end, host)
    yield from taken_traffic(end, host)
    yield from loops(end, host)


def _pair_in_use(end: TunnelEnd, host: HostView) -> Iterator[Problem]:
    for name, link in host.links.items():
        if name != end.link and is_device_of(end, link):
            key = "" if end.key is None else f" with key {end.key}"
            yield Problem(
                "/remote",
                f"{name} joins {end.local} and {end.remote} by {link.kind}{key} already",
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


def why_down(end: TunnelEnd, host: HostView) -> str:
    """Return why an end cannot carry packets, empty where nothing on this host stops it."""
    link = host.links.get(end.link)
    if link is None:
        return f"{end.link} is missing"
    if not is_device_of(end, link):
        return f"{end.link} is another device, of kind {link.kind or 'hardware'}"
    if not link.up:
        return f"{end.link} is down"
    below = next((key.link for key in host.addresses if key.address.ip == end.local), None)
    if below is None:
        return f"{end.local}, from which its packets come, is no address of this host any more"
    for name in dict.fromkeys(filter(None, [end.device, below])):
        if name not in host.links:
            return f"{name}, by which its packets leave, is missing"
        if not host.links[name].up:
            return f"{name}, by which its packets leave, is down"
    present = {key.address for key in host.addresses if key.link == end.link}
    missing = [str(address) for address in end.addresses if address not in present]
    if missing:
        return f"{', '.join(missing)} is missing from {end.link}"
    if not satisfies(wanted_link(end), link):
        return f"{end.link} is set otherwise: {_difference(end, link)}"
    return ""


def _difference(end: TunnelEnd, link: LinkConfig) -> str:
    wanted = wanted_link(end)
    pairs = (
        ("mtu", link.mtu, end.mtu),
        ("device", link.underlay, wanted.underlay),
        ("ttl", link.ttl, wanted.ttl),
        ("checksum", link.checksum, wanted.checksum),
    )
    return ", ".join(
        f"{name} {seen} in place of {asked}"
        for name, seen, asked in pairs
        if seen != asked and not (name == "mtu" and asked is None)
    )
