"""The VIPs on this host, ours and foreign, and the addresses that no VIP may have."""

from collections.abc import Collection, Mapping

from lvsctl.agent.policy import HostAddresses, addresses_in_use
from lvsctl.agent.record import Record
from lvsctl.host.interface import AddressKey, Config, Host, LinkConfig, LinkKey
from lvsctl.host.tunnel_kinds import TUNNEL_KINDS
from lvsctl.net import IPAddress

_SILENT_KINDS = frozenset({"dummy", *TUNNEL_KINDS})


def host_addresses(
    host: Host, record: Record, address: IPAddress, directors: Collection[IPAddress]
) -> HostAddresses:
    """Return the addresses of the host and its network.

    Args:
        host: The host.
        record: Its original configuration.
        address: The real server's own (RIP).
        directors: Addresses of this agent's directors.

    Raises:
        KernelError: The host cannot be read.
    """
    present = host.addresses()
    ours = {key for key in present if _is_ours(key, record)}
    in_use = addresses_in_use(present.keys() - ours, host.gateways(), directors)
    return HostAddresses(address, in_use, frozenset(key.address.ip for key in ours))


def foreign_vips(
    host: Host, record: Record, vips: Collection[IPAddress]
) -> Mapping[IPAddress, AddressKey]:
    """Return the VIPs that somebody else added where they can be used as they are.

    That is as a host address (/32, /128) on a device without ARP. If the record is lost, they
    are assumed to be ours.

    Raises:
        KernelError: The host cannot be read.
    """
    if record.lost:
        return {}
    alone = [
        key
        for key in host.addresses()
        if key.address.ip in vips and key.address.network.num_addresses == 1
    ]
    ours = {key.address.ip for key in alone if _is_ours(key, record)}
    links = host.observe([LinkKey(key.link) for key in alone])
    return {
        key.address.ip: key
        for key in alone
        if key.address.ip not in ours and _is_silent(key.link, links[LinkKey(key.link)])
    }


def _is_ours(key: AddressKey, record: Record) -> bool:
    entry = record.found.get(key)
    return entry is not None and entry.found is None


def _is_silent(name: str, link: Config | None) -> bool:
    """Tell whether a device accepts packets for its addresses, and never answers ARP for them."""
    if not isinstance(link, LinkConfig) or not link.up:
        return False
    return name == "lo" or link.kind in _SILENT_KINDS
