"""Whether a silence through the tunnel is a server's or this director's own. No input or output.

A firewall of the director that drops what comes from a VIP to the DIP keeps out every answer, and
nothing that can be looked at tells: each server by itself seems to be dead. What tells is that
they fall silent together while they answer when they are asked directly.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from lvsctl.net import IPAddress

AT_LEAST = 2
"""A single server that nothing is heard of is likelier to be at fault itself."""

NEVER_S = float("-inf")


@dataclass(slots=True)
class SilenceCorrelator:
    """What is heard through the tunnel of the servers of one VIP; times in s on a steady clock.

    Attributes:
        asked_s: When the last probe to each of them ended, however it did.
        since_s: When the first probe in a row ended in silence, by the server's address.
        alone_s: When something was first heard of another since then: the director lets answers
            in, so that what is sent to it from then on and is not answered, the server misses.
    """

    asked_s: dict[IPAddress, float] = field(default_factory=dict)
    since_s: dict[IPAddress, float] = field(default_factory=dict)
    alone_s: dict[IPAddress, float] = field(default_factory=dict)

    def heard(self, server: IPAddress, at_s: float) -> None:
        """Take note that something came back from a server."""
        self.asked_s[server] = at_s
        self.since_s.pop(server, None)
        self.alone_s.pop(server, None)
        for each in self.together:
            self.alone_s[each] = at_s

    def silent(self, server: IPAddress, at_s: float) -> None:
        """Take note that a probe to a server ended in silence."""
        self.asked_s[server] = at_s
        self.since_s.setdefault(server, at_s)

    def asked(self, server: IPAddress, at_s: float) -> None:
        """Take note that a probe ended that tells nothing."""
        self.asked_s[server] = at_s

    def keep(self, servers: Collection[IPAddress]) -> None:
        """Listen for these servers from now on; the others are asked no more."""
        for noted in (self.asked_s, self.since_s, self.alone_s):
            for gone in noted.keys() - set(servers):
                del noted[gone]
        for server in servers:
            self.asked_s.setdefault(server, NEVER_S)

    @property
    def together(self) -> frozenset[IPAddress]:
        """The silent servers since whose silence nothing was heard of any other."""
        if len(self.since_s) == len(self.alone_s):
            return frozenset()
        return frozenset(self.since_s.keys() - self.alone_s.keys())

    def suspects(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return the servers that fell silent together, if that one is among several of them."""
        together = self.together
        return together if server in together and len(together) >= AT_LEAST else frozenset()

    def unheard(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return who has not been asked since a server fell silent, if it is not silent alone.

        Only when they have been, it can be told whether they fell silent with it.
        """
        if server in self.alone_s:
            return frozenset()
        since_s = self.since_s.get(server, NEVER_S)
        return frozenset(
            each for each, at_s in self.asked_s.items() if each != server and at_s < since_s
        )
