"""Captures packets as they arrive, before a firewall or sysctl of this host can drop them."""

import contextlib
import ctypes
import select
import socket
import struct
import time
from collections.abc import Collection, Iterator

from lvsctl.errors import KernelLacks
from lvsctl.net import Family

_ETHERTYPE = {Family.IPV4: 0x0800, Family.IPV6: 0x86DD}
_PROTOCOL_AT = {Family.IPV4: 9, Family.IPV6: 6}
_SO_ATTACH_FILTER = 26
_LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x15, 0x06  # linux/bpf_common.h
_SNAP_LENGTH = 256
_RECEIVE_BUFFER = 4 << 20
_FRAGMENT_HEADER = 44


class PacketCapture:
    """Packet sockets for IPv4 and IPv6 on all devices.

    Args:
        protocols: IP protocols to capture; a BPF filter discards the rest.

    Raises:
        KernelLacks: The process lacks CAP_NET_RAW.
    """

    def __init__(self, protocols: Collection[int]) -> None:
        with contextlib.ExitStack() as stack:
            self._sockets = [
                stack.enter_context(_packet_socket(family, protocols)) for family in Family
            ]
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the sockets."""
        self._stack.close()

    def packets(self, until: float) -> Iterator[bytes]:
        """Yield the first bytes of every incoming packet, from its IP header on.

        Args:
            until: When to stop, on the monotonic clock.
        """
        while (left_s := until - time.monotonic()) > 0:
            readable, _, _ = select.select(self._sockets, [], [], left_s)
            for each in readable:
                data, (_, _, direction, *_) = each.recvfrom(_SNAP_LENGTH)
                if direction != socket.PACKET_OUTGOING:
                    yield data


def _packet_socket(family: Family, protocols: Collection[int]) -> socket.socket:
    try:
        listening = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETHERTYPE[family])
        )
    except PermissionError as error:
        raise KernelLacks(
            "doctor may not look at packets: run it as root, or with CAP_NET_RAW and CAP_NET_ADMIN"
        ) from error
    filtering = _filter(family, protocols)
    memory = ctypes.create_string_buffer(filtering)
    program = struct.pack("HP", len(filtering) // 8, ctypes.addressof(memory))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return listening


def _filter(family: Family, protocols: Collection[int]) -> bytes:
    """Return a classic BPF program that keeps the first bytes of packets of some protocols."""
    wanted = sorted({*protocols, *([_FRAGMENT_HEADER] if family is Family.IPV6 else [])})
    load = struct.pack("HBBI", _LOAD_BYTE, 0, 0, _PROTOCOL_AT[family])
    # A jump that is taken skips the later ones and the "return 0" that follows them.
    jumps = [
        struct.pack("HBBI", _JUMP_IF_EQUAL, len(wanted) - place, 0, protocol)
        for place, protocol in enumerate(wanted)
    ]
    ends = [struct.pack("HBBI", _RETURN, 0, 0, size) for size in (0, _SNAP_LENGTH)]
    return b"".join([load, *jumps, *ends])
