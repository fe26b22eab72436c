"""Whether a silence through the tunnel is the servers' or this director's own. Pure.

A firewall of the director that drops what comes from a VIP to the DIP keeps out every answer, and
nothing that can be looked at tells: each server by itself seems to be dead. What tells is that
they fall silent together while they answer when they are asked directly.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from lvsctl.ipvs_table import IPAddress

NEVER_S = float("-inf")

AT_LEAST = 2
"""A single server that nothing is heard of is likelier to be at fault itself."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What is heard through the tunnel of the servers of one VIP; times in s on a steady clock.

    Attributes:
        last_answer_s: When anything last came back from any of them.
        since_s: When the first probe in a row ended in silence, by the server's address.
        asked_s: When the last probe to each of them ended, however it did.
    """

    last_answer_s: float = NEVER_S
    since_s: Mapping[IPAddress, float] = field(default_factory=dict)
    asked_s: Mapping[IPAddress, float] = field(default_factory=dict)

    def heard(self, server: IPAddress, at_s: float) -> "Silence":
        """Return what is known after something came back from a server."""
        rest = {each: since for each, since in self.since_s.items() if each != server}
        return Silence(max(self.last_answer_s, at_s), rest, self.asked_s).asked(server, at_s)

    def silent(self, server: IPAddress, at_s: float) -> "Silence":
        """Return what is known after a probe to a server ended in silence."""
        return replace(self, since_s={server: at_s, **self.since_s}).asked(server, at_s)

    def asked(self, server: IPAddress, at_s: float) -> "Silence":
        """Return what is known after a probe ended that tells nothing."""
        return replace(self, asked_s={**self.asked_s, server: at_s})

    def among(self, servers: Collection[IPAddress]) -> "Silence":
        """Return what is known of these servers; the others are asked no more."""
        return replace(
            self,
            since_s={each: since for each, since in self.since_s.items() if each in servers},
            asked_s={each: self.asked_s.get(each, NEVER_S) for each in servers},
        )

    def together_with(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return the servers that fell silent since the last answer from anybody, if that one did.

        They are suspicious of being well; fewer than :data:`AT_LEAST` are not.
        """
        found = frozenset(
            each for each, since_s in self.since_s.items() if since_s >= self.last_answer_s
        )
        return found if server in found and len(found) >= AT_LEAST else frozenset()

    def unheard_since(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return who has not been asked since a server fell silent, if nobody answered since.

        Only when they have been, it can be told whether they fell silent with it.
        """
        since_s = self.since_s.get(server, NEVER_S)
        if self.last_answer_s > since_s:
            return frozenset()
        return frozenset(
            each for each, at_s in self.asked_s.items() if each != server and at_s < since_s
        )
