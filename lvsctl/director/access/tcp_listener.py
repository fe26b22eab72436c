"""The director's TCP socket."""

import socket

from lvsctl.errors import ConfigurationError


def tcp_listener(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        ConfigurationError: It cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"--listen {host}:{port}: {error}; what listens there: ss -ltnp sport = :{port}"
        ) from error
    # asyncio sets it only on sockets that name their protocol, which those accepted here do not.
    # Without it every answer but a connection's first waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
