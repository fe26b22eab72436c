"""Which addresses of this host are VIPs, whose they are, and what they leave for other VIPs."""

from collections.abc import Collection, Mapping

from lvsctl.agent.policy import HostAddresses, taken_addresses
from lvsctl.agent.record import Record
from lvsctl.host.interface import AddressKey, Config, Host, LinkConfig, LinkKey
from lvsctl.host.tunnel_kinds import TUNNEL_KINDS
from lvsctl.net import IPAddress

_SILENT_KINDS = frozenset({"dummy", *TUNNEL_KINDS})


def host_addresses(
    host: Host, record: Record, address: IPAddress, directors: Collection[IPAddress]
) -> HostAddresses:
    """Return what the host and its network leave for VIPs.

    Args:
        host: The host.
        record: How it was found.
        address: The real server's own (RIP).
        directors: Addresses of the directors that this agent asks.

    Raises:
        KernelError: The host cannot be read.
    """
    present = host.addresses()
    ours = {key for key in present if _is_ours(key, record)}
    taken = taken_addresses(present.keys() - ours, host.gateways(), directors)
    return HostAddresses(address, taken, frozenset(key.address.ip for key in ours))


def foreign_vips(
    host: Host, record: Record, vips: Collection[IPAddress]
) -> Mapping[IPAddress, AddressKey]:
    """Return where somebody else has put VIPs, as far as they can stay there.

    That is alone (/32, /128) and on a device that nobody asks for addresses. Where the record is
    lost, those are taken for ours.

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
    """Tell whether a device takes packets for its addresses, and is never asked for them."""
    if not isinstance(link, LinkConfig) or not link.up:
        return False
    return name == "lo" or link.kind in _SILENT_KINDS
