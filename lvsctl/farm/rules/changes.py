"""Changes of a farm that are valid and yet should not be made unasked. Pure."""

from collections.abc import Iterable, Iterator

from lvsctl.farm.index import Index
from lvsctl.farm.model import Farm, Pool, Service
from lvsctl.ipvs.table import FwmarkKey
from lvsctl.net import IPAddress, family_of


def drastic(before: Farm, after: Farm) -> Iterator[str]:
    """Yield why a change would take most of the farm away, in sentences; nothing if it does not.

    Drastic is what removes more than half of the services, or every declared server of a pool
    that a service keeps using.
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
    """Yield, in sentences, each service that would keep its firewall mark and get another VIP.

    The kernel knows such a service by the mark alone. So the old VIP cannot serve on beside the
    new one, as it does where the VIP is part of the key.

    Args:
        before: The farm as it is.
        index: Of that farm.
        changed: Services as they are to be.
    """
    for service in changed:
        owners = index.keys.get(FwmarkKey(family_of(service.vip), service.fwmark or 0), ())
        for old in {before.services[name].vip for name in owners} - {service.vip}:
            yield (
                f"service {service.name} would move fwmark {service.fwmark} from {old} to "
                f"{service.vip}, and both would be without service meanwhile; add a service with "
                "the new VIP and another mark, let the firewall set that, then remove this one"
            )


def _addresses(pool: Pool) -> frozenset[IPAddress]:
    return frozenset(server.address for server in pool.real_servers)
