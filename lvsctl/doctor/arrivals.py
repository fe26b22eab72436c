"""Watches for tunnelled packets that arrive for a VIP."""

from collections.abc import Collection

from lvsctl.doctor.capture import PacketCapture
from lvsctl.doctor.facts import Arrival
from lvsctl.doctor.packets import GRE, IPIP, IPV6, UDP, parse_arrival
from lvsctl.net import IPAddress

PROTOCOLS = frozenset({IPIP, IPV6, GRE, UDP})
MAX_PACKETS = 20_000


def watch(capture: PacketCapture, vips: Collection[IPAddress], until: float) -> frozenset[Arrival]:
    """Return the distinct kinds of tunnelled packets that arrive for a VIP.

    Args:
        capture: Opened for :data:`PROTOCOLS`.
        vips: Inner destinations of interest.
        until: When to stop, on the monotonic clock.
    """
    found: set[Arrival] = set()
    for number, data in enumerate(capture.packets(until)):
        arrival = parse_arrival(data)
        if arrival is not None and arrival.vip in vips:
            found.add(arrival)
        if number >= MAX_PACKETS:
            break
    return frozenset(found)
