"""Watching what passes a node's device: packet(7) with a ring that the kernel copies headers into.

A packet socket that is simply read from will not do: it holds on to the packet itself, and a later
step of its way shows in it. The receiver of GUE, for one, shortens the outer length in place.
"""

import itertools
import mmap
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from deploy.lab.errors import LabError
from deploy.lab.node import Node
from deploy.lab.packets import GUE_PORT, Arp, Packet, parse

# Names that Python's socket module lacks: linux/if_ether.h, linux/if_packet.h, linux/socket.h.
_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_TPACKET_V2 = 1
_TP_STATUS_KERNEL, _TP_STATUS_USER = 0, 1

_FRAME_BYTES = 512  # the ring's own header, and two IPv6 headers and TCP's with all their options
_BLOCK_BYTES = 1 << 16
_STATUS = struct.Struct("=I")
_HEADER = struct.Struct("=IIIHHII")  # tpacket2_hdr: status, length, captured, mac, network, time
_LINK_ADDRESS = struct.Struct("!H")  # sockaddr_ll.sll_protocol, the only field in network order
_LINK_ADDRESS_AT, _PACKET_TYPE_AT = 34, 42


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet that passed.

    Attributes:
        at_s: When, as time.time(); it compares over all nodes.
        outgoing: Whether the node sent it.
        packet: What it was.
    """

    at_s: float
    outgoing: bool
    packet: Packet | Arp


class Capture:
    """Everything that passes a device from now on until the context is left.

    Args:
        node: Where.
        device: What is watched; a tunnel's device shows what came out of the tunnel.
        room: How many packets the ring has room for, between two looks at it.
        gue_port: The UDP port at which GUE is looked for.
    """

    def __init__(
        self, node: Node, device: str = "eth0", *, room: int = 16384, gue_port: int = GUE_PORT
    ) -> None:
        self._name = f"{node.name} {device}"
        self._gue_port = gue_port
        self._seen: list[Seen] = []
        with node.enter():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        size = -(-room * _FRAME_BYTES // _BLOCK_BYTES) * _BLOCK_BYTES
        blocks, frames = size // _BLOCK_BYTES, size // _FRAME_BYTES
        ring = struct.pack("=IIII", _BLOCK_BYTES, blocks, _FRAME_BYTES, frames)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, ring)
        self._ring = mmap.mmap(self._socket.fileno(), size)
        self._next_frame = itertools.cycle(range(0, size, _FRAME_BYTES))
        self._at = next(self._next_frame)
        self._socket.bind((device, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ring.close()
        self._socket.close()

    def seen(self) -> list[Seen]:
        """Return everything that has passed so far, in order.

        Raises:
            LabError: The kernel had to drop some, so that nothing can be concluded.
        """
        self._seen.extend(self._take_from_the_ring())
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        _, dropped = struct.unpack("=II", statistics)
        if dropped:
            raise LabError(f"the capture on {self._name} lost {dropped} packets")
        return list(self._seen)

    def packets(self, *, outgoing: bool | None = None) -> list[Packet]:
        """Return the IP packets that have passed so far: all, those sent, or those received."""
        return [
            seen.packet
            for seen in self.seen()
            if isinstance(seen.packet, Packet) and outgoing in {None, seen.outgoing}
        ]

    def arps(self) -> list[Arp]:
        """Return the ARP messages that have passed so far."""
        return [seen.packet for seen in self.seen() if isinstance(seen.packet, Arp)]

    def _take_from_the_ring(self) -> Iterator[Seen]:
        while _STATUS.unpack_from(self._ring, self._at)[0] & _TP_STATUS_USER:
            header = _HEADER.unpack_from(self._ring, self._at)
            _, _, captured, _, network, seconds, nanoseconds = header
            (ethertype,) = _LINK_ADDRESS.unpack_from(self._ring, self._at + _LINK_ADDRESS_AT)
            outgoing = self._ring[self._at + _PACKET_TYPE_AT] == socket.PACKET_OUTGOING
            data = self._ring[self._at + network : self._at + network + captured]
            _STATUS.pack_into(self._ring, self._at, _TP_STATUS_KERNEL)
            self._at = next(self._next_frame)
            packet = parse(ethertype, data, self._gue_port)
            if packet is not None:
                yield Seen(seconds + nanoseconds / 1e9, outgoing, packet)
