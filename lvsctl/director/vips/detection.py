"""Duplicate address detection that does not block: probes now, results later."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from queue import Empty, SimpleQueue

from lvsctl.director.vips.neighbours import AddressesOfLinks, Neighbours
from lvsctl.net import IPAddress

VALID_FOR_S = 5.0
"""How long a result is valid, and the time to wait for one. After that, for instance while this
director was paused, another host may have been given the address."""

OnAnswer = Callable[[Collection[IPAddress]], None]
"""Called with the addresses that have results, possibly in another thread."""


class DuplicateDetection:
    """Probes for other owners of addresses; used in the reconciler's thread.

    Args:
        neighbours: The hosts on the links.
        on_answer: Called, in any thread, when there are results.
        monotonic: Seconds on a monotonic clock.
    """

    def __init__(
        self, neighbours: Neighbours, on_answer: OnAnswer, monotonic: Callable[[], float]
    ) -> None:
        self._neighbours = neighbours
        self._on_answer = on_answer
        self._monotonic = monotonic
        self._asked_at_s: dict[IPAddress, float] = {}
        self._answers_at_once = False
        # Filled by the thread that asks.
        self._answers: SimpleQueue[tuple[float, Mapping[IPAddress, str]]] = SimpleQueue()

    @property
    def has_answers(self) -> bool:
        """Whether there are results."""
        return not self._answers.empty()

    def is_asking(self, address: IPAddress) -> bool:
        """Tell whether an address is being probed."""
        at_s = self._asked_at_s.get(address)
        return at_s is not None and self._monotonic() - at_s < VALID_FOR_S

    def ask(self, links: Mapping[IPAddress, Collection[str]]) -> None:
        """Probe for addresses on their links, except for those being probed."""
        new = [address for address in links if not self.is_asking(address)]
        if not new:
            return
        self._asked_at_s |= dict.fromkeys(new, self._monotonic())
        by_link: dict[str, list[IPAddress]] = {}
        for address in new:
            for link in links[address]:
                by_link.setdefault(link, []).append(address)
        self._answers_at_once = True
        self._neighbours.ask(by_link, partial(self._answer, new))
        self._answers_at_once = False

    def take(self) -> Mapping[IPAddress, str]:
        """Return the other owner of each address with a result, in words."""
        found: dict[IPAddress, str] = {}
        while True:
            try:
                at_s, owners = self._answers.get_nowait()
            except Empty:
                return found
            for address in owners:
                self._asked_at_s.pop(address, None)
            if self._monotonic() - at_s < VALID_FOR_S:
                found |= owners

    def announce(self, addresses: AddressesOfLinks) -> None:
        """Announce addresses on their links."""
        self._neighbours.announce(addresses)

    def _answer(self, asked: Collection[IPAddress], owners: Mapping[IPAddress, str]) -> None:
        found = {address: owners.get(address, "") for address in asked}
        self._answers.put((self._monotonic(), found))
        # Whoever asks takes what is there by then, so only later answers have to be announced.
        if not self._answers_at_once:
            self._on_answer(asked)
