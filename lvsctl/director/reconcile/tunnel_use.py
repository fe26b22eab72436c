"""Which encapsulations the director's kernel uses towards the real servers, and used just now."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lvsctl.ipvs.table import Encapsulation, IpvsTable
from lvsctl.net import IPAddress

LINGER_S = 10.0
"""An agent accepts an encapsulation for so long after the kernel was last seen to use it."""

TunnelsInUse = Mapping[IPAddress, AbstractSet[Encapsulation]]
"""The encapsulations towards each real server."""


def tunnels_in_use(table: IpvsTable, addresses: AbstractSet[IPAddress]) -> TunnelsInUse:
    """Return what a table sends towards some addresses."""
    # By number, which no two addresses that hosts can route to share, and in lists of one or two:
    # hashing ten thousand addresses and encapsulations would take five times as long.
    found: dict[int, list[Encapsulation]] = {int(address): [] for address in addresses}
    if not found:
        return {}
    for service in table.values():
        for destination, config in service.destinations.items():
            known = found.get(int(destination.address))
            if known is None or config.encapsulation is None:
                continue
            if config.encapsulation not in known:
                known.append(config.encapsulation)
    return {address: frozenset(found[int(address)]) for address in addresses}


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
        remembered = {
            address: {
                encapsulation: at_s
                for encapsulation, at_s in by_encapsulation.items()
                if not complete or now_s - at_s < LINGER_S
            }
            for address, by_encapsulation in self.seen_at_s.items()
        }
        for address, encapsulations in seen.items():
            remembered.setdefault(address, {}).update(dict.fromkeys(encapsulations, now_s))
        return TunnelUse({address: each for address, each in remembered.items() if each})

    def towards(self, address: IPAddress) -> AbstractSet[Encapsulation]:
        """Return what is used towards an address, or was within the last seconds."""
        return self.seen_at_s.get(address, {}).keys()
