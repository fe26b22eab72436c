"""The list of directors, one of which is in use, and the back-off between attempts."""

from collections.abc import Sequence
from random import Random

from lvsctl.agent.director_client import DirectorClient
from lvsctl.net import IPAddress


class Directors:
    """An agent's directors; it stays with one until that fails.

    Args:
        clients: In the order in which they are tried.
        backoff: Pauses between attempts to reach one.
    """

    def __init__(self, clients: Sequence[DirectorClient], backoff: "Backoff") -> None:
        self.backoff = backoff
        self._clients = list(clients)

    @property
    def current(self) -> DirectorClient:
        """The director in use."""
        return self._clients[0]

    @property
    def addresses(self) -> frozenset[IPAddress]:
        """The known addresses of all of them."""
        return frozenset(address for client in self._clients for address in client.addresses)

    def __len__(self) -> int:
        return len(self._clients)

    def failed(self, client: DirectorClient) -> None:
        """Switch to the next director, unless ``client`` is no longer in use."""
        if client is self._clients[0]:
            self._clients.append(self._clients.pop(0))

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.close()


class Backoff:
    """Exponential back-off with jitter.

    Args:
        first_s: Upper bound of the first pause.
        max_s: Upper bound of every pause.
        jitter: Random source; keeps agents from reconnecting all at once.
    """

    def __init__(self, first_s: float, max_s: float, jitter: Random) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._jitter = jitter
        self._failures = 0

    def reset(self) -> None:
        """Start over: an attempt succeeded."""
        self._failures = 0

    def next_s(self) -> float:
        """Return how long to pause now."""
        bound_s = min(self._max_s, self._first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return bound_s * self._jitter.uniform(0.5, 1)
