"""From a credential to who shows it: the one place that makes principals."""

import hmac
import pwd
from hashlib import sha256

from lvsctl.director.access.principal import Principal
from lvsctl.farm.access import Role

LOCAL = "UNIX socket"
"""Source of requests over the director's UNIX socket."""
SHARED = "shared token"
"""Name of whoever shows the token of --token-file."""


class Credentials:
    """The credentials that a director accepts; lives on its event loop."""

    def __init__(self) -> None:
        self._shared: bytes | None = None

    def accept_shared(self, token: str) -> None:
        """Accept one token for everybody, with every right."""
        self._shared = _digest(token)

    def of_token(self, token: str, source: str) -> Principal | None:
        """Return who shows a token; None if it is not accepted.

        Args:
            token: As it was sent.
            source: Address that it came from.
        """
        digest = _digest(token)
        # Equal lengths make the comparison take equally long.
        if self._shared is not None and hmac.compare_digest(digest, self._shared):
            return Principal(Role.ADMIN, SHARED, source)
        return None

    @staticmethod
    def of_local_user(uid: int) -> Principal:
        """Return who is at the UNIX socket, which the kernel opens to root and the director's user.

        Args:
            uid: As the kernel has it (SO_PEERCRED).
        """
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # a container need not name its users
            name = f"uid {uid}"
        return Principal(Role.ADMIN, name, LOCAL)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
