"""Who uses what in a farm. Pure."""

from collections.abc import Iterable

from lvsctl.farm.model import Farm


def referring_services(farm: Farm, pool: str) -> Iterable[str]:
    """Return the names of the services that use a pool."""
    return [service.name for service in farm.services.values() if service.pool == pool]
