"""Duplicate address detection that holds nobody up: asked now, answered later."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from queue import Empty, SimpleQueue

from lvsctl.director.vips.neighbours import AddressesOfLinks, Neighbours
from lvsctl.net import IPAddress

VALID_FOR_S = 5.0
"""How long an answer counts, and how long one is waited for. While this director was paused
somebody else may have been given the address."""

OnAnswer = Callable[[Collection[IPAddress]], None]
"""Told which addresses were answered for; on another thread, perhaps."""


class DuplicateDetection:
    """Asks the links who has an address; belongs to the reconciler's thread.

    Args:
        neighbours: The hosts on the links.
        on_answer: Called, on whichever thread, when there is something to take later.
        monotonic: Seconds that only grow.
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
        """Whether there is something to take."""
        return not self._answers.empty()

    def is_asking(self, address: IPAddress) -> bool:
        """Tell whether an address has been asked for and no answer was taken yet."""
        at_s = self._asked_at_s.get(address)
        return at_s is not None and self._monotonic() - at_s < VALID_FOR_S

    def ask(self, links: Mapping[IPAddress, Collection[str]]) -> None:
        """Ask for addresses on their links, except for those that are being asked for."""
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
        """Return who has each address that was answered for, in words; empty for nobody."""
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
        """Tell the links that addresses are here now."""
        self._neighbours.announce(addresses)

    def _answer(self, asked: Collection[IPAddress], owners: Mapping[IPAddress, str]) -> None:
        found = {address: owners.get(address, "") for address in asked}
        self._answers.put((self._monotonic(), found))
        # Whoever asks takes what is there by then, so only later answers have to be announced.
        if not self._answers_at_once:
            self._on_answer(asked)
