"""Valid changes of a farm that need ``--force``. Pure."""

from collections.abc import Iterable, Iterator

from lvsctl.farm.index import Index
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.ipvs.table import FwmarkKey
from lvsctl.net import IPAddress, family_of


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


def moved_marks(before: Farm, index: Index, changed: Iterable[Service]) -> Iterator[str]:
    """Yield, in words, each service that would keep its firewall mark but change its VIP.

    The kernel identifies such a service by its mark alone, so the old VIP cannot keep serving
    until the new one is ready.

    Args:
        before: The current farm.
        index: Index of the current farm.
        changed: New values of services.
    """
    for service in changed:
        owners = index.keys.get(FwmarkKey(family_of(service.vip), service.fwmark or 0), ())
        for old in {before.services[name].vip for name in owners} - {service.vip}:
            yield (
                f"service {service.name} would move fwmark {service.fwmark} from {old} to "
                f"{service.vip}, with an outage of both in between; instead add a service with the "
                "new VIP and another mark, have the firewall set that mark, then remove this one"
            )


def _addresses(pool: Pool) -> frozenset[IPAddress]:
    return frozenset(server.address for server in pool.real_servers)
