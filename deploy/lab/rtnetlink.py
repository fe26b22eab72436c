"""The few requests of rtnetlink that a network is built with, to one network namespace.

pyroute2 has them all, and takes ten times as long for each.

Source: `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`, `linux/fib_rules.h`.
"""

import os
import socket
import struct
from ipaddress import ip_interface, ip_network

from lvsctl.netlink.attributes import NESTED, U8, U32, attribute, parse_attributes
from lvsctl.netlink.messages import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    frame,
    parse_ack,
    parse_messages,
)

_CREATE = 0x600  # NLM_F_CREATE, NLM_F_EXCL
_NEW_LINK, _GET_LINK = 16, 18
_NEW_ADDRESS, _DELETE_ADDRESS, _GET_ADDRESS = 20, 21, 22
_NEW_ROUTE, _GET_ROUTE = 24, 26
_GET_RULE = 34

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, which of them count
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, link
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths, tos, table, protocol, scope, type, …

_IFLA_NAME, _IFLA_MASTER, _IFLA_INFO, _IFLA_NAMESPACE_FD = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA = 1, 2
_BRIDGE_MULTICAST_SNOOPING = 23
_VETH_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DESTINATION, _RTA_LINK, _RTA_GATEWAY = 1, 4, 5
_IFF_UP = 1
_IFLA_KEPT = frozenset({1, 3, 4, 5, 10, 16, 18, 27, 33})  # address, name, MTU, link, master, …
_IFA_CACHE_INFO, _RTA_CACHE_INFO = 6, 12
_ANY_ATTRIBUTE = frozenset(range(128))
_RULE_BYTES = 12  # fib_rule_hdr
_BRIDGE = b"bridge\0"  # what a bridge and its ports say of themselves has timers in it
_MAIN_TABLE, _BY_AN_ADMINISTRATOR, _ANYWHERE, _UNICAST = 254, 4, 0, 1

_CONFIGURED = {
    "links": (_GET_LINK, _LINK.size, _IFLA_KEPT),
    "addresses": (_GET_ADDRESS, _ADDRESS.size, _ANY_ATTRIBUTE - {_IFA_CACHE_INFO}),
    "routes": (_GET_ROUTE, _ROUTE.size, _ANY_ATTRIBUTE - {_RTA_CACHE_INFO}),
    "rules": (_GET_RULE, _RULE_BYTES, _ANY_ATTRIBUTE),
}
"""What to ask for, how long its head is, and which attributes say how it is configured."""

_RECEIVE_BYTES = 65536


class Rtnetlink:
    """A socket in the network namespace that the calling thread is in when it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._sequence = 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def index(self, link: str) -> int:
        """Look up a link's index.

        Raises:
            OSError: There is none of that name.
        """
        found = self._request(_GET_LINK, 0, _link() + _name(link))
        return int(_LINK.unpack_from(found)[2])

    def add_bridge(self, name: str) -> None:
        """Create a bridge that is up.

        Snooping would hold IPv6 neighbour solicitations back until a querier was heard.
        """
        data = attribute(_BRIDGE_MULTICAST_SNOOPING, U8.pack(0))
        self._request(_NEW_LINK, _CREATE, _link(up=True) + _name(name) + _info("bridge", data))

    def add_veth(self, name: str, bridge: str, peer: str, peer_namespace_fd: int) -> None:
        """Create a port of a bridge, and its peer in another namespace, which is down yet."""
        namespace = attribute(_IFLA_NAMESPACE_FD, U32.pack(peer_namespace_fd))
        data = attribute(_VETH_PEER, _link() + _name(peer) + namespace)
        master = attribute(_IFLA_MASTER, U32.pack(self.index(bridge)))
        request = _link(up=True) + _name(name) + master + _info("veth", data)
        self._request(_NEW_LINK, _CREATE, request)

    def set_link(self, name: str, *, up: bool) -> None:
        """Bring a link up or down."""
        self._request(_NEW_LINK, 0, _LINK.pack(0, 0, 0, int(up), _IFF_UP) + _name(name))

    def add_address(self, link: str, address: str) -> None:
        """Add an address with its prefix length."""
        self._request(_NEW_ADDRESS, _CREATE, self._address(link, address))

    def delete_address(self, link: str, address: str) -> None:
        """Delete an address with its prefix length."""
        self._request(_DELETE_ADDRESS, 0, self._address(link, address))

    def add_route(self, destination: str, via: str | None, link: str | None) -> None:
        """Add a route to a prefix, through a gateway or on a link."""
        network = ip_network(destination)
        request = _ROUTE.pack(
            _family(network.version),
            *(network.prefixlen, 0, 0, _MAIN_TABLE, _BY_AN_ADMINISTRATOR, _ANYWHERE, _UNICAST, 0),
        )
        if network.prefixlen:
            request += attribute(_RTA_DESTINATION, network.network_address.packed)
        if via:
            request += attribute(_RTA_GATEWAY, socket.inet_pton(_family(network.version), via))
        if link:
            request += attribute(_RTA_LINK, U32.pack(self.index(link)))
        self._request(_NEW_ROUTE, _CREATE, request)

    def configuration(self) -> dict[str, str]:
        """Return what is configured: the messages of each kind, without counters and ages."""
        return {
            what: "\n".join(sorted(_shown(each, head, kept) for each in self._dump(kind)))
            for what, (kind, head, kept) in _CONFIGURED.items()
        }

    def _dump(self, kind: int) -> list[bytes]:
        """Return the payload of every object of a kind, of all families."""
        self._sequence += 1
        self._socket.send(
            frame(kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, bytes(_LINK.size))
        )
        found: list[bytes] = []
        while True:
            for message in parse_messages(self._socket.recv(_RECEIVE_BYTES)):
                if message.type == NLMSG_DONE:
                    return found
                found.append(message.payload)

    def _address(self, link: str, text: str) -> bytes:
        address = ip_interface(text)
        head = _ADDRESS.pack(
            _family(address.version), address.network.prefixlen, 0, 0, self.index(link)
        )
        return (
            head + attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)
        )

    def _request(self, kind: int, flags: int, payload: bytes) -> bytes:
        """Send a request; return the payload of what the kernel answers beside its consent."""
        self._sequence += 1
        sent = frame(kind, NLM_F_REQUEST | NLM_F_ACK | flags, self._sequence, payload)
        self._socket.send(sent)
        answer = b""
        while True:
            for message in parse_messages(self._socket.recv(_RECEIVE_BYTES)):
                if message.type != NLMSG_ERROR:
                    answer = message.payload
                    continue
                ack = parse_ack(message)
                if ack.errno:
                    raise OSError(ack.errno, os.strerror(ack.errno))
                return answer


def _shown(message: bytes, head: int, kept: frozenset[int]) -> str:
    attributes = parse_attributes(message, head)
    shown = [
        f"{kind}={attributes[kind].hex()}"
        for kind in sorted(attributes.keys() & kept)
        if _BRIDGE not in attributes[kind]
    ]
    return " ".join([message[:head].hex(), *shown])


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004


def _link(*, up: bool = False) -> bytes:
    return _LINK.pack(0, 0, 0, int(up), int(up))


def _name(link: str) -> bytes:
    return attribute(_IFLA_NAME, link.encode() + b"\0")


def _info(kind: str, data: bytes) -> bytes:
    inner = attribute(_INFO_KIND, kind.encode()) + attribute(_INFO_DATA | NESTED, data)
    return attribute(_IFLA_INFO | NESTED, inner)
