"""What people and drains read from the kernel's table."""

from collections import Counter
from collections.abc import Collection, Mapping

from lvsctl.director.drains.countdown import Connections, open_connections
from lvsctl.director.reconcile.cycle import TableReading
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import ServiceKey
from lvsctl.net import IPAddress


def read_table(
    ipvs: Ipvs, claims: Mapping[ServiceKey, str], probes: Collection[ServiceKey]
) -> TableReading:
    """Read the whole table with its counters.

    Args:
        ipvs: The virtual services.
        claims: The farm's service for each of our keys.
        probes: Keys of health checks.
    """
    observed, counters = ipvs.counted_snapshot()
    return TableReading(
        {key: service for key, service in observed.items() if key not in probes},
        counters,
        ipvs.timeouts(),
        claims,
        {key: service for key, service in observed.items() if key in probes},
    )


def active_connections(ipvs: Ipvs, keys: Mapping[ServiceKey, str], address: IPAddress) -> int:
    """Return the active connections to a real server in all of these services."""
    return sum(
        destination.active_connections
        for service in ipvs.counters(keys.keys()).values()
        for key, destination in service.destinations.items()
        if key.address == address
    )


def draining_connections(
    ipvs: Ipvs, claims: Mapping[ServiceKey, str], names: Collection[str]
) -> Connections:
    """Return what a drain waits for in the named services, by service and real server.

    Args:
        ipvs: The virtual services.
        claims: The farm's service for each of our keys.
        names: Of the farm's services.
    """
    keys = [key for key, name in claims.items() if name in names]
    found: Counter[tuple[str, IPAddress]] = Counter()
    for key, service in ipvs.counters(keys).items():
        for destination, counters in service.destinations.items():
            found[claims[key], destination.address] += open_connections(key, counters)
    return found
