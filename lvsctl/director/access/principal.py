"""Who makes a request. Pure."""

from dataclasses import dataclass

from lvsctl.farm.access import Role
from lvsctl.net import IPAddress

AGENT_AUTHOR = "agent "
"""Begins the author of what an agent writes; no other name has a space in it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request, as their credential says; never what the request says of itself.

    Attributes:
        role: What they may do.
        name: Of their token, of their account on this host, or of their agent.
        source: Where the request came from: an address, or ``UNIX socket``.
        pools: That an agent may join.
        expired: Their credential was good once.
        digest: Of the secret that they showed; empty for none.
        address: The only one that an agent may register (RIP); None for any.
    """

    role: Role
    name: str
    source: str
    pools: tuple[str, ...] = ()
    expired: bool = False
    digest: bytes = b""
    address: IPAddress | None = None

    @property
    def author(self) -> str:
        """How the history names them."""
        return f"{AGENT_AUTHOR}{self.name}" if self.role is Role.AGENT else self.name
