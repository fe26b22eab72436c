"""Which encapsulations the director's kernel uses towards the real servers, and used just now."""

from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lvsctl.ipvs.table import Encapsulation, IpvsTable
from lvsctl.net import IPAddress

LINGER_S = 10.0
"""An agent accepts an encapsulation for so long after the kernel was last seen to use it."""

TunnelsInUse = Mapping[IPAddress, AbstractSet[Encapsulation]]
"""The encapsulations towards each real server."""


def tunnels_in_use(table: IpvsTable, addresses: Container[IPAddress]) -> TunnelsInUse:
    """Return what a table sends towards those of some addresses that it has."""
    found: dict[IPAddress, set[Encapsulation]] = {}
    for service in table.values():
        for destination, config in service.destinations.items():
            if config.encapsulation is not None and destination.address in addresses:
                found.setdefault(destination.address, set()).add(config.encapsulation)
    return found


def together(one: TunnelsInUse, other: TunnelsInUse) -> TunnelsInUse:
    """Return what is in one or the other."""
    return {
        address: one.get(address, frozenset()) | other.get(address, frozenset())
        for address in one.keys() | other.keys()
    }


@dataclass(frozen=True, slots=True)
class TunnelUse:
    """What is remembered of the kernel's encapsulations.

    Attributes:
        seen_at_s: When each was last seen towards an address, on the event loop's clock.
    """

    seen_at_s: Mapping[IPAddress, Mapping[Encapsulation, float]] = field(default_factory=dict)

    def after(self, seen: TunnelsInUse, now_s: float, *, complete: bool) -> "TunnelUse":
        """Return the memory after another cycle.

        Args:
            seen: What stood.
            now_s: When.
            complete: Whether it observed every one of our services; only then what was not seen
                can be forgotten.
        """
        if not seen and not complete:
            return self
        remembered = dict(self.seen_at_s)
        for address, encapsulations in seen.items():
            present = dict.fromkeys(encapsulations, now_s)
            remembered[address] = {**remembered.get(address, {}), **present}
        return TunnelUse(_recent(remembered, now_s) if complete else remembered)

    def towards(self, address: IPAddress) -> AbstractSet[Encapsulation]:
        """Return what is used towards an address, or was within the last seconds."""
        return self.seen_at_s.get(address, {}).keys()

    def changed_since(self, before: "TunnelUse") -> set[IPAddress]:
        """Return the addresses towards which something else was used at another time."""
        if self is before:
            return set()
        addresses = self.seen_at_s.keys() | before.seen_at_s.keys()
        return {each for each in addresses if self.towards(each) != before.towards(each)}


def _recent(
    seen_at_s: Mapping[IPAddress, Mapping[Encapsulation, float]], now_s: float
) -> Mapping[IPAddress, Mapping[Encapsulation, float]]:
    found = {
        address: {each: at_s for each, at_s in by_encapsulation.items() if now_s - at_s < LINGER_S}
        for address, by_encapsulation in seen_at_s.items()
    }
    return {address: each for address, each in found.items() if each}
