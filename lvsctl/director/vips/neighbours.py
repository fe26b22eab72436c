"""Probes for and announces addresses on links: ARP and neighbour discovery."""

import contextlib
import fcntl
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from lvsctl.director.vips import arp
from lvsctl.director.vips import ndp as neighbour_discovery
from lvsctl.net import Family, IPAddress, family_of

PROBES = 3
PROBE_INTERVAL_S = 0.1
"""RFC 5227 and 4862 ask for about 1 s between probes; a farm's link is a data centre's, which
answers in less than a millisecond, and clients wait for the VIP meanwhile."""

AddressesOfLinks = Mapping[str, Collection[IPAddress]]
"""Addresses to probe for, or to announce, by device."""

_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927
_IFF_UP, _IFF_NOARP, _ARPHRD_ETHER = 0x1, 0x80, 1
_ICMP6_FILTER = 1


OnOwners = Callable[[Mapping[IPAddress, str]], None]
"""Called with the host that answers for each address, in words; others are left out."""


class Neighbours(Protocol):
    """The hosts on this host's links."""

    def ask(self, addresses: AddressesOfLinks, on_owners: OnOwners) -> None:
        """Probe for the owners of addresses, without waiting.

        Args:
            addresses: The addresses.
            on_owners: Called once, either at once or in another thread.
        """
        ...

    def announce(self, addresses: AddressesOfLinks) -> None:
        """Announce addresses on their links."""
        ...


class NoNeighbours:
    """No neighbours, for a host in memory."""

    def ask(self, addresses: AddressesOfLinks, on_owners: OnOwners) -> None:  # noqa: ARG002
        """Report no owners."""
        on_owners({})

    def announce(self, addresses: AddressesOfLinks) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Ethernet:
    """A raw socket for ARP and neighbour discovery on a link."""

    name: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """A claim to an address; ``mac`` is None if it does not contain a link address."""

    address: IPAddress
    mac: bytes | None
    link: str

    def __str__(self) -> str:
        return f"{self.mac.hex(':') if self.mac else 'somebody'} on {self.link}"


_Listener = tuple[socket.socket, Callable[[], _Answer | None]]


class LinkNeighbours:
    """Neighbours over raw sockets; needs CAP_NET_RAW. Links other than Ethernet are skipped."""

    def owners(self, addresses: AddressesOfLinks) -> Mapping[IPAddress, str]:
        """Send probes on all links at once and collect the answers for 0.3 s."""
        if not any(addresses.values()):
            return {}
        ethernets = _ethernets(addresses)
        own = {link.mac for link in ethernets}
        found: dict[IPAddress, str] = {}
        with contextlib.ExitStack() as stack:
            senders = {link: stack.enter_context(_sender(link.name)) for link in ethernets}
            listeners = dict(
                stack.enter_context(_listening(link.name, family))
                for link in ethernets
                for family in sorted({family_of(address) for address in addresses[link.name]})
            )
            for _ in range(PROBES):
                for link, sender in senders.items():
                    _send(sender, [_probe(link.mac, each) for each in addresses[link.name]])
                for answer in _answers(listeners, PROBE_INTERVAL_S):
                    if answer.mac not in own and answer.address in addresses[answer.link]:
                        found[answer.address] = str(answer)
        return found

    def ask(self, addresses: AddressesOfLinks, on_owners: OnOwners) -> None:
        """Probe for the owners of addresses, in a separate thread in the same namespace."""
        threading.Thread(
            target=lambda: on_owners(self.owners(addresses)),
            name="duplicate address detection",
            daemon=True,
        ).start()

    def announce(self, addresses: AddressesOfLinks) -> None:
        """Send a gratuitous ARP request or an unsolicited advertisement for each address."""
        for link in _ethernets(addresses):
            with _sender(link.name) as sender:
                _send(sender, [_announcement(link.mac, each) for each in addresses[link.name]])


def _probe(mac: bytes, address: IPAddress) -> bytes:
    if isinstance(address, IPv4Address):
        return arp.probe(mac, address)
    return neighbour_discovery.solicitation(mac, address)


def _announcement(mac: bytes, address: IPAddress) -> bytes:
    if isinstance(address, IPv4Address):
        return arp.announcement(mac, address)
    return neighbour_discovery.announcement(mac, address)


def _send(sender: socket.socket, frames: Collection[bytes]) -> None:
    # A link that goes down meanwhile has nobody on it.
    with contextlib.suppress(OSError):
        for frame in frames:
            sender.send(frame)


@contextlib.contextmanager
def _sender(link: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind((link, 0))
        yield sender


@contextlib.contextmanager
def _listening(link: str, family: Family) -> Iterator[_Listener]:
    listening = _listening_to_arp if family is Family.IPV4 else _listening_to_advertisements
    with listening(link) as listener:
        yield listener


@contextlib.contextmanager
def _listening_to_arp(link: str) -> Iterator[_Listener]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as listener:
        listener.bind((link, arp.ETHERTYPE))

        def receive() -> _Answer | None:
            said = arp.sender(listener.recv(2048, socket.MSG_DONTWAIT))
            return _Answer(*said, link) if said else None

        yield listener, receive


@contextlib.contextmanager
def _listening_to_advertisements(link: str) -> Iterator[_Listener]:
    # Not a packet socket: that would be woken by all IPv6 that the director balances.
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listener:
        blocked = bytearray(b"\xff" * 32)
        word, bit = divmod(neighbour_discovery.ADVERTISEMENT, 32)
        struct.pack_into("=I", blocked, 4 * word, 0xFFFFFFFF ^ 1 << bit)
        listener.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(blocked))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())

        def receive() -> _Answer | None:
            said = neighbour_discovery.advertised(listener.recv(2048, socket.MSG_DONTWAIT))
            return _Answer(*said, link) if said else None

        yield listener, receive


def _answers(
    listeners: Mapping[socket.socket, Callable[[], _Answer | None]], within_s: float
) -> Iterator[_Answer]:
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select(list(listeners), [], [], left_s)
        for listener in readable:
            # The link went down, or the message was not for us after all.
            with contextlib.suppress(OSError):
                answer = listeners[listener]()
                if answer:
                    yield answer


def _ethernets(links: Collection[str]) -> list[_Ethernet]:
    found: list[_Ethernet] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for link in links:
            request = struct.pack("16s24x", link.encode())
            try:
                flags = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
                hardware = fcntl.ioctl(control, _SIOCGIFHWADDR, request)
            except OSError:
                continue  # the link went away since it was listed
            (bits,) = struct.unpack_from("H", flags, 16)
            (kind,) = struct.unpack_from("H", hardware, 16)
            if bits & _IFF_UP and not bits & _IFF_NOARP and kind == _ARPHRD_ETHER:
                found.append(_Ethernet(link, hardware[18:24]))
    return found
