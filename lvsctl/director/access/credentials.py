"""From a credential to who shows it: the one place that makes principals."""

import functools
import hmac
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lvsctl.director.access.principal import Principal
from lvsctl.director.access.secret_texts import digest
from lvsctl.farm.access import Role, Secret, Token

LOCAL = "UNIX socket"
"""Source of requests over the director's UNIX socket."""
SHARED = "shared token"
"""Name of whoever shows the token of --token-file."""


@dataclass(frozen=True, slots=True)
class Use:
    """When a token was shown last, and from where."""

    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class _Shared:
    digest: bytes
    until: datetime


class Credentials:
    """The credentials that a director accepts; lives on its event loop.

    Args:
        tokens: Returns those that are stored, by name.
        now: The time of day, in UTC.
    """

    def __init__(
        self, tokens: Callable[[], Mapping[str, Token]], now: Callable[[], datetime]
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._indexed: Mapping[str, Token] | None = None
        self._by_digest: Mapping[bytes, tuple[Token, Secret]] = {}
        self._shared: _Shared | None = None
        # Not in the store: whoever has a token could make it write without end.
        self._uses: dict[str, Use] = {}

    @property
    def uses(self) -> Mapping[str, Use]:
        """The last use of each token since this director started."""
        return self._uses

    def accept_shared(self, token: str, until: datetime) -> None:
        """Accept one token for everybody, with every right, until a moment in UTC."""
        self._shared = _Shared(digest(token), until)

    def of_token(self, text: str, source: str) -> Principal | None:
        """Return who shows a token; None if it is not known.

        Args:
            text: As it was sent.
            source: Address that it came from.
        """
        now, shown = self._now(), digest(text)
        shared = self._shared
        # Equal lengths make the comparison take equally long.
        if shared and hmac.compare_digest(shown, shared.digest):
            return Principal(Role.ADMIN, SHARED, source, expired=now >= shared.until)
        # How long a look-up takes tells something of the digest, from which no text follows.
        found = self._index().get(shown)
        if found is None:
            return None
        token, secret = found
        if secret.is_valid(now):
            self._uses[token.name] = Use(now, source)
        expired = not secret.is_valid(now)
        return Principal(token.role, token.name, source, token.pools, expired, shown, token.address)

    def _index(self) -> Mapping[bytes, tuple[Token, Secret]]:
        tokens = self._tokens()
        if tokens is not self._indexed:
            self._indexed = tokens
            self._by_digest = {
                secret.digest: (token, secret)
                for token in tokens.values()
                for secret in token.secrets
            }
            self._uses = {name: use for name, use in self._uses.items() if name in tokens}
        return self._by_digest

    @staticmethod
    def of_local_user(uid: int) -> Principal:
        """Return who is at the UNIX socket, which the kernel opens to root and the director's user.

        Args:
            uid: As the kernel has it (SO_PEERCRED).
        """
        return Principal(Role.ADMIN, _account(uid), LOCAL)


@functools.cache  # the host's name service may take its time
def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container need not name its users
        return f"uid {uid}"
