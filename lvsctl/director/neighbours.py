"""Asking a link who has an address, and telling it that we have it: ARP (RFC 826, RFC 5227)."""

import contextlib
import fcntl
import select
import socket
import struct
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

ETHERTYPE_ARP = 0x0806
BROADCAST = b"\xff" * 6
REQUEST = 1
PROBES = 3
PROBE_INTERVAL_S = 0.1
"""RFC 5227 asks for 1 to 2 s between probes; a farm's link is a data centre's, which answers in
less than a millisecond, and the table waits for us meanwhile."""

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927
_IFF_UP, _IFF_NOARP, _ARPHRD_ETHER = 0x1, 0x80, 1


class Neighbours(Protocol):
    """The hosts on this host's links."""

    def owners(
        self, addresses: Collection[IPv4Address], links: Collection[str]
    ) -> Mapping[IPv4Address, str]:
        """Return who answers for each address, in words; an address nobody has is absent."""
        ...

    def announce(self, addresses: Collection[IPv4Address], links: Collection[str]) -> None:
        """Tell every link that the addresses are here now (gratuitous ARP)."""
        ...


class NoNeighbours:
    """A host that is alone."""

    def owners(
        self,
        addresses: Collection[IPv4Address],  # noqa: ARG002
        links: Collection[str],  # noqa: ARG002
    ) -> Mapping[IPv4Address, str]:
        """Nobody answers."""
        return {}

    def announce(self, addresses: Collection[IPv4Address], links: Collection[str]) -> None:
        """Nobody listens."""


@dataclass(frozen=True, slots=True)
class _Ethernet:
    """A link that speaks ARP."""

    name: str
    mac: bytes


class ArpNeighbours:
    """Neighbours over raw sockets; needs CAP_NET_RAW. Other links than Ethernet are passed over."""

    def owners(
        self, addresses: Collection[IPv4Address], links: Collection[str]
    ) -> Mapping[IPv4Address, str]:
        """Send ARP probes on all links at once and collect the answers for 0.3 s."""
        if not addresses:
            return {}
        found: dict[IPv4Address, str] = {}
        with contextlib.ExitStack() as stack:
            sockets = {
                stack.enter_context(_arp_socket(link.name)): link for link in _ethernets(links)
            }
            for _ in range(PROBES):
                for arp, link in sockets.items():
                    for address in addresses:
                        arp.send(_request(link.mac, IPv4Address(0), address))
                for link, sender, mac in _answers(sockets, PROBE_INTERVAL_S):
                    if sender in addresses and mac != link.mac:
                        found[sender] = f"{mac.hex(':')} on {link.name}"
        return found

    def announce(self, addresses: Collection[IPv4Address], links: Collection[str]) -> None:
        """Broadcast a gratuitous ARP request for each address on each link (RFC 5227, 3)."""
        for link in _ethernets(links):
            with _arp_socket(link.name) as arp:
                for address in addresses:
                    arp.send(_request(link.mac, address, address))


def _arp_socket(link: str) -> socket.socket:
    arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
    arp.bind((link, ETHERTYPE_ARP))
    return arp


def _request(mac: bytes, sender: IPv4Address, target: IPv4Address) -> bytes:
    ethernet = BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP)
    return ethernet + _ARP.pack(
        1, 0x0800, 6, 4, REQUEST, mac, sender.packed, bytes(6), target.packed
    )


def _answers(
    sockets: Mapping[socket.socket, _Ethernet], within_s: float
) -> Iterator[tuple[_Ethernet, IPv4Address, bytes]]:
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select(list(sockets), [], [], left_s)
        for arp in readable:
            frame = arp.recv(2048)
            if len(frame) >= 14 + _ARP.size:
                *_, mac, sender, _, _ = _ARP.unpack_from(frame, 14)
                yield sockets[arp], IPv4Address(sender), mac


def _ethernets(links: Collection[str]) -> Iterator[_Ethernet]:
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
                yield _Ethernet(link, hardware[18:24])
