"""Tells a silent server from a director that drops the answers. No input or output.

If a firewall on the director drops packets from a VIP to the DIP, every server seems dead, and
nothing in the director's configuration that lvsctl observes shows why. The symptom is that servers
fall silent together through the tunnel while they still answer direct probes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from lvsctl.net import IPAddress

MIN_SUSPECTS = 2
"""A single silent server is more likely at fault itself."""

NEVER_S = float("-inf")


@dataclass(slots=True)
class SilenceCorrelator:
    """Silence through the tunnel, per server of one VIP; times in s on a monotonic clock.

    Attributes:
        probed_s: When the last probe of each server ended, whatever its outcome.
        silent_since_s: When the first of a row of silent probes ended, by server.
        others_answered_s: When another server first answered since then. The director accepts
            answers, so probes sent from then on that stay unanswered are the server's fault.
    """

    probed_s: dict[IPAddress, float] = field(default_factory=dict)
    silent_since_s: dict[IPAddress, float] = field(default_factory=dict)
    others_answered_s: dict[IPAddress, float] = field(default_factory=dict)

    def record_answer(self, server: IPAddress, at_s: float) -> None:
        """Record that a server sent something back."""
        self.probed_s[server] = at_s
        self.silent_since_s.pop(server, None)
        self.others_answered_s.pop(server, None)
        for each in self.together:
            self.others_answered_s[each] = at_s

    def record_silence(self, server: IPAddress, at_s: float) -> None:
        """Record that a probe of a server got no packet back."""
        self.probed_s[server] = at_s
        self.silent_since_s.setdefault(server, at_s)

    def record_inconclusive(self, server: IPAddress, at_s: float) -> None:
        """Record an inconclusive probe of a server."""
        self.probed_s[server] = at_s

    def retain(self, servers: Collection[IPAddress]) -> None:
        """Keep records of these servers only."""
        for noted in (self.probed_s, self.silent_since_s, self.others_answered_s):
            for gone in noted.keys() - set(servers):
                del noted[gone]
        for server in servers:
            self.probed_s.setdefault(server, NEVER_S)

    @property
    def together(self) -> frozenset[IPAddress]:
        """Silent servers since whose silence no other server has answered."""
        if len(self.silent_since_s) == len(self.others_answered_s):
            return frozenset()
        return frozenset(self.silent_since_s.keys() - self.others_answered_s.keys())

    def suspects(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return the servers that fell silent together with this one; none if it is alone."""
        together = self.together
        return together if server in together and len(together) >= MIN_SUSPECTS else frozenset()

    def not_probed_since(self, server: IPAddress) -> frozenset[IPAddress]:
        """Return the servers not probed since this one fell silent; none if another has answered.

        Whether they fell silent together is known only once they have been probed.
        """
        if server in self.others_answered_s:
            return frozenset()
        silent_since_s = self.silent_since_s.get(server, NEVER_S)
        return frozenset(
            each for each, at_s in self.probed_s.items() if each != server and at_s < silent_since_s
        )
