"""Which tunnelled packets for a VIP arrive while doctor looks."""

from collections.abc import Collection

from lvsctl.doctor.facts import Arrival
from lvsctl.doctor.listening import Listener
from lvsctl.doctor.packets import GRE, IPIP, IPV6, UDP, parse_arrival
from lvsctl.net import IPAddress

PROTOCOLS = frozenset({IPIP, IPV6, GRE, UDP})
ENOUGH = 20_000


def watch(listener: Listener, vips: Collection[IPAddress], until: float) -> frozenset[Arrival]:
    """Return the kinds of tunnelled packets that arrive for a VIP.

    Args:
        listener: For :data:`PROTOCOLS`.
        vips: Inner destinations of interest.
        until: When to end, on the monotonic clock.
    """
    found: set[Arrival] = set()
    for number, data in enumerate(listener.packets(until)):
        arrival = parse_arrival(data)
        if arrival is not None and arrival.vip in vips:
            found.add(arrival)
        if number >= ENOUGH:
            break
    return frozenset(found)
