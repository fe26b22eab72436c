"""Neighbours that answer when the test says so."""

from collections.abc import Mapping

from lvsctl.director.vips.neighbours import AddressesOfLinks, OnOwners
from lvsctl.net import IPAddress


class SlowNeighbours:
    """Links that take their time.

    Attributes:
        asked: What each question was about, in order.
        announced: What was announced, in order.
    """

    def __init__(self) -> None:
        self.asked: list[AddressesOfLinks] = []
        self.announced: list[AddressesOfLinks] = []
        self._waiting: list[OnOwners] = []

    def ask(self, addresses: AddressesOfLinks, on_owners: OnOwners) -> None:
        self.asked.append(addresses)
        self._waiting.append(on_owners)

    def announce(self, addresses: AddressesOfLinks) -> None:
        self.announced.append(addresses)

    def answer(self, owners: Mapping[IPAddress, str] | None = None) -> None:
        """Answer every open question."""
        for on_owners in self._waiting:
            on_owners(owners or {})
        self._waiting.clear()
