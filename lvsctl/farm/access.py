"""Who may use a director: roles and, stored with the farm, tokens. Pure."""

import enum
from dataclasses import dataclass
from datetime import datetime

from lvsctl.net import IPAddress


class Role(enum.StrEnum):
    """What somebody may do.

    ADMIN everything; OPERATOR read, drain, set run-time weights, pause; VIEWER read; METRICS read
    the metrics; AGENT speak for one real server; JOIN get the credential of a new agent.
    """

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    METRICS = "metrics"
    AGENT = "agent"
    JOIN = "join"


@dataclass(frozen=True, slots=True)
class Secret:
    """One text that a token stands for. The text itself is known only to whoever got it.

    Attributes:
        digest: SHA-256 of the text. It has 256 random bits, so no slower hash is needed.
        created: When, in UTC.
        expires: When it is no longer accepted, in UTC; None for never.
        renews: An agent may renew its credential with it, even when it has expired.
    """

    digest: bytes
    created: datetime
    expires: datetime | None
    renews: bool = True

    def is_valid(self, now: datetime) -> bool:
        """Tell whether it is accepted at a moment."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class Token:
    """What somebody shows to use a director.

    Attributes:
        name: Unique among the tokens; the name of whoever shows it. That of an agent is the
            agent's.
        role: What it allows.
        secrets: The newest first; while a client changes over, the one before is valid too.
        by: Who created it.
        pools: That an agent may join; empty for any other role.
        uses: How many agents may join with it still; None for any other role.
        address: That the agent joined with (RIP), the only one that it may register; None for any.
    """

    name: str
    role: Role
    secrets: tuple[Secret, ...]
    by: str
    pools: tuple[str, ...] = ()
    uses: int | None = None
    address: IPAddress | None = None
