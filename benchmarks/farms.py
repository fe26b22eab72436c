"""The farms used in benchmarks: as a document, as a table, and as keepalived's configuration."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationKey,
    IpvsTable,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import IpProtocol

VIPS = 250
WEIGHT = 100
SCHEDULER = "rr"
_FIRST_VIP, FIRST_RIP = IPv4Address("198.51.100.1"), IPv4Address("10.0.0.1")


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a farm; each server has its own address.

    Attributes:
        name: Name in samples.
        services: Number of services, spread over 250 VIPs.
        servers: Number of servers in all.
    """

    name: str
    services: int
    servers: int

    def __str__(self) -> str:
        if self.servers % self.services:
            return f"{self.services:,} services, {self.servers:,} servers"
        return f"{self.services:,} x {self.servers // self.services}"

    @property
    def entries(self) -> int:
        """Number of virtual services and destinations in the table."""
        return self.services + self.servers

    def keys(self) -> Iterator[tuple[int, AddressKey, range]]:
        """Yield the number and key of each service, and the numbers of its servers."""
        each, more = divmod(self.servers, self.services)
        first = 0
        for number in range(self.services):
            key = AddressKey(IpProtocol.TCP, _FIRST_VIP + number % VIPS, 80 + number // VIPS)
            last = first + each + (number < more)
            yield number, key, range(first, last)
            first = last


SMALL = Size("small", 1000, 10_000)
LARGE = Size("large", 2277, 37_205)
HUGE = Size("huge", 2000, 100_000)
SIZES = {size.name: size for size in (SMALL, LARGE)}
"""Of the benchmarks in the guest."""


def document(size: Size, weight: int = WEIGHT) -> dict[str, object]:
    """Return the body of ``PUT /v1/farm``."""
    services, pools = [], []
    for number, key, servers in size.keys():  # noqa: SIM118 - no mapping
        services.append(
            {
                "name": f"s{number}",
                "vip": str(key.vip),
                "ports": [key.port],
                "scheduler": SCHEDULER,
                "pool": f"p{number}",
            }
        )
        real_servers = [
            {"name": f"rs{n}", "address": str(FIRST_RIP + n), "weight": weight} for n in servers
        ]
        pools.append({"name": f"p{number}", "real_servers": real_servers})
    return {"services": services, "pools": pools}


def table(size: Size) -> IpvsTable:
    """Return the farm's IPVS table, in the order in which lvsctl creates it."""
    return {
        key: VirtualService(
            VirtualServiceConfig(SCHEDULER),
            {DestinationKey(FIRST_RIP + n, key.port): DestinationConfig(WEIGHT) for n in servers},
        )
        for _, key, servers in sorted(size.keys(), key=lambda each: each[1].sort_key)
    }


def keepalived_configuration(wanted: IpvsTable) -> str:
    """Return keepalived's configuration for a table of TCP services.

    Every setting is on its own line: in a block on one line, keepalived takes the rest of the line
    for the value of the first keyword.
    """
    blocks = []
    for key, service in wanted.items():
        if not isinstance(key, AddressKey):
            raise TypeError(key)
        servers = "".join(
            f"  real_server {at.address} {at.port} {{\n    weight {config.weight}\n  }}\n"
            for at, config in service.destinations.items()
        )
        blocks.append(
            f"virtual_server {key.vip} {key.port} {{\n  lvs_sched {service.config.scheduler}\n"
            f"  lvs_method TUN\n  protocol TCP\n{servers}}}\n"
        )
    return "".join(blocks)
