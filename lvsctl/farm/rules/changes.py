"""Valid changes of a farm that need ``--force``. Pure."""

from collections.abc import Iterator

from lvsctl.farm.model import Farm, Pool
from lvsctl.net import IPAddress


def drastic(before: Farm, after: Farm) -> Iterator[str]:
    """Yield why a change would remove most of the farm, in words; nothing if it would not.

    A change is drastic if it removes more than half of the services, or every declared server of
    a service that stays.
    """
    removed = before.services.keys() - after.services.keys()
    if len(removed) * 2 > len(before.services):
        yield f"it removes {len(removed)} of {len(before.services)} services"
    for service in after.services.values():
        old = before.services.get(service.name)
        if old is None:
            continue
        had = _addresses(before.pools[old.pool])
        if had and not had & _addresses(after.pools[service.pool]):
            yield f"service {service.name} loses all {len(had)} of its declared real servers"


def moved_marks(before: Farm, after: Farm) -> Iterator[str]:
    """Yield, in words, each service that would keep its firewall mark but change its VIP.

    The kernel identifies such a service by its mark alone, so the old VIP cannot keep serving
    until the new one is ready.
    """
    vips = {s.fwmark: s.vip for s in before.services.values() if s.fwmark is not None}
    for service in after.services.values():
        old = vips.get(service.fwmark) if service.fwmark is not None else None
        if old is not None and old != service.vip:
            yield (
                f"service {service.name} would move fwmark {service.fwmark} from {old} to "
                f"{service.vip}, with an outage of both in between; instead add a service with the "
                "new VIP and another mark, have the firewall set that mark, then remove this one"
            )


def _addresses(pool: Pool) -> frozenset[IPAddress]:
    return frozenset(server.address for server in pool.real_servers)
