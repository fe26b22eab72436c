"""Limits on clients."""

from dataclasses import dataclass

MAX_HEAD_BYTES = 64 * 1024
"""Total size of request line, header and trailer fields of a request."""
MAX_FIELDS = 100
"""Number of header and trailer fields of a request."""
MAX_FRAMING_FACTOR = 8
"""Bytes of chunk sizes and extensions per byte of body; a chunk of one byte has five."""
PARSED_BYTES = 16 * 1024
"""Data is parsed in parts of this size, so that unfinished elements can be counted in between."""
MAX_PIPELINED = 8
"""Requests that may wait for the response to an earlier one."""
PIECE_BYTES = 64 * 1024
"""Responses are written in pieces of this size, each when the one before has been sent."""

HEAD_S = 10.0
"""Time from the connection, or a later request's first byte, to the end of the head."""
BODY_S = 60.0
"""Time from the end of the head to the end of the body."""
UNREAD_S = 30.0
"""Time that a client may read nothing of a response."""
ANONYMOUS_IDLE_S = 10.0
AUTHENTICATED_IDLE_S = 75.0
"""Longer than clients keep unused connections: the client should be the one to close."""
LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024
"""How long, and how much, input is discarded after a refusal: if data is left unread, the kernel
resets the connection, and the client may not see the response."""

MAX_ANONYMOUS = 512
MAX_AUTHENTICATED = 8192


@dataclass(frozen=True, slots=True)
class Budget:
    """Maximum numbers of connections.

    Attributes:
        anonymous: Connections without a valid credential so far.
        authenticated: Other connections.
    """

    anonymous: int
    authenticated: int


def budget(descriptors: int) -> Budget:
    """Divide file descriptors among connections.

    Anonymous connections count twice, as each may also have a file of the documentation open.
    """
    anonymous = max(1, min(MAX_ANONYMOUS, descriptors // 8))
    return Budget(anonymous, max(1, min(MAX_AUTHENTICATED, descriptors - 2 * anonymous)))
