"""Limit on the size of the table that a farm compiles to."""

from collections.abc import Iterator

from lvsctl.errors import Problem
from lvsctl.farm.model import Farm
from lvsctl.farm.objects import Kind, ObjectId

MAX_DESTINATIONS = 500_000
"""Over all virtual services: servers times ports. They take half a gigabyte."""


def table_too_large(farm: Farm) -> Iterator[tuple[ObjectId, Problem]]:
    """Yield a problem if a farm compiles to more destinations than fit in memory."""
    servers = {pool.name: len(pool.real_servers) for pool in farm.pools.values()}
    count = 0
    for service in farm.services.values():
        count += max(1, len(service.ports)) * servers.get(service.pool, 0)
        if count > MAX_DESTINATIONS:
            detail = f"with this service the farm has {count} destinations"
            problem = Problem("/pool", detail, f"up to {MAX_DESTINATIONS} in all")
            yield ObjectId(Kind.SERVICE, service.name), problem
            return
