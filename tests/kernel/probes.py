"""A probe as plain sockets send it: with a mark, and from a source address and port."""

import contextlib
import http.client
import json
import socket
import struct
from dataclasses import dataclass

from deploy.lab.application import ECHO_PORT, HTTP_PORT
from deploy.lab.node import Node

ANSWERS_WITHIN_S = 5.0
SILENT_FOR_S = 0.3
_SO_MARK = 36
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe of one server for one VIP carries.

    Attributes:
        server: Who is asked.
        director: Where the probe is sent from.
        vip: Where it is sent to.
        source: The DIP.
        port: Source port.
        mark: Firewall mark.
    """

    server: str
    director: Node
    vip: str
    source: str
    port: int
    mark: int

    def over_tcp(self, within_s: float = ANSWERS_WITHIN_S) -> str:
        """Ask over HTTP; return who answered, or what went wrong."""
        return self._asked(socket.SOCK_STREAM, HTTP_PORT, within_s)

    def over_udp(self, within_s: float = ANSWERS_WITHIN_S) -> str:
        """Ask with a datagram; return who answered, or what went wrong."""
        return self._asked(socket.SOCK_DGRAM, ECHO_PORT, within_s)

    def _asked(self, kind: socket.SocketKind, port: int, within_s: float) -> str:
        with self.director.enter():
            endpoint = socket.socket(socket.AF_INET6 if ":" in self.vip else socket.AF_INET, kind)
        with endpoint:
            endpoint.settimeout(within_s)
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            endpoint.setsockopt(socket.SOL_SOCKET, _SO_MARK, self.mark)
            endpoint.bind((self.source, self.port))
            try:
                endpoint.connect((self.vip, port))
                if kind == socket.SOCK_DGRAM:
                    endpoint.send(b"hello")
                    return endpoint.recv(100).decode().removesuffix(" hello")
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                return _get(endpoint)
            except OSError as error:
                return type(error).__name__


def _get(endpoint: socket.socket) -> str:
    endpoint.sendall(b"GET / HTTP/1.1\r\nHost: probe\r\n\r\n")
    answer = http.client.HTTPResponse(endpoint)
    answer.begin()
    with contextlib.closing(answer):
        return str(json.loads(answer.read())["server"])
