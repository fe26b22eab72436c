"""Lets the kernel learn how large packets may be on their way to the real servers.

IPVS heeds an ICMP error about a packet that it wrapped, and tells the client. Not so (Linux 6.1)
where the outer header is IPv6, which ``ip_vs_in_icmp_v6`` does not look into, and where one real
server gets both ipip and gre, of which ``ip_vs_find_tunnel`` finds one. The error is then for
whoever has a raw socket of the packet's protocol, and for that socket's sake the kernel keeps the
MTU with its route (``raw_err``; ``rawv6_err`` if the socket wants to be told of errors). There IPVS
finds it when the next packet comes.

So the sockets only have to be there. Nothing is read from them: a filter keeps packets out, and
the few errors that there is room for do no harm.
"""

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator

import structlog

_log = structlog.get_logger()

_IPIP, _UDP, _IPV6, _GRE = 4, 17, 41, 47
_TUNNELLED = (
    (socket.AF_INET, (_IPIP, _GRE)),
    (socket.AF_INET6, (_IPIP, _UDP, _IPV6, _GRE)),
)
_SO_ATTACH_FILTER = 26
_IPV6_RECVERR = 25
_LEAST_ROOM = 0  # the kernel makes it its own minimum
_RETURN = 0x06  # BPF_RET | BPF_K, linux/bpf_common.h


@contextlib.contextmanager
def path_mtus_learnt() -> Iterator[None]:
    """Have the kernel learn path MTUs from errors that IPVS does not heed, for as long as this."""
    with contextlib.ExitStack() as opened:
        for family, protocols in _TUNNELLED:
            for protocol in protocols:
                try:
                    opened.enter_context(_deaf_socket(family, protocol))
                except OSError as error:
                    _log.warning(
                        "path MTUs are not learnt",
                        family=family.name,
                        protocol=protocol,
                        reason=str(error),
                    )
        yield


def _deaf_socket(family: socket.AddressFamily, protocol: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_RAW, protocol)
    keep_nothing = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(keep_nothing))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST_ROOM)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    return opened
