"""What a client may take."""

from dataclasses import dataclass

MAX_HEAD_BYTES = 64 * 1024
"""Request line, header fields and trailer fields of one request."""
MAX_FIELDS = 100
"""Header and trailer fields of one request."""
MAX_FRAMING_FACTOR = 8
"""Bytes of chunk sizes and extensions for each byte of body: a chunk of one byte has five."""
PARSED_BYTES = 16 * 1024
"""Data is parsed in parts of this size, after each of which what is unfinished is counted."""
MAX_PIPELINED = 8
"""Requests that may wait for the answer to the one before them."""
PIECE_BYTES = 64 * 1024
"""An answer is handed to the connection in pieces of this size, each when the last has gone."""

HEAD_S = 10.0
"""From the connection, or the first byte of a later request, to the end of the head."""
BODY_S = 60.0
"""From the end of the head to the end of the body."""
UNREAD_S = 30.0
"""How long a client may read nothing of an answer."""
ANONYMOUS_IDLE_S = 10.0
AUTHENTICATED_IDLE_S = 75.0
"""Longer than clients keep unused connections: the client should be the one to close."""
LINGER_S = 2.0
LINGER_BYTES = 1024 * 1024
"""How long, and how much, input is dropped after a refusal: a client whose data is unread may not
see the answer."""

MAX_ANONYMOUS = 512
MAX_AUTHENTICATED = 8192


@dataclass(frozen=True, slots=True)
class Budget:
    """How many connections there may be.

    Attributes:
        anonymous: On which no valid credential was seen yet.
        authenticated: The others.
    """

    anonymous: int
    authenticated: int


def budget(descriptors: int) -> Budget:
    """Divide file descriptors among connections.

    An anonymous one counts double: it may hold open a file of the documentation.
    """
    anonymous = max(1, min(MAX_ANONYMOUS, descriptors // 8))
    return Budget(anonymous, max(1, min(MAX_AUTHENTICATED, descriptors - 2 * anonymous)))
