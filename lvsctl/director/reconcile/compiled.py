"""The virtual services that services stand for, kept while what they are compiled from stays."""

from dataclasses import dataclass
from datetime import datetime

from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.state import State
from lvsctl.farm.model import Pool, Service
from lvsctl.farm.status import Status
from lvsctl.ipvs.table import ServiceKey, VirtualService


@dataclass(frozen=True, slots=True)
class Compiled:
    """A service as it was compiled, with what from.

    Attributes:
        service: The service.
        pool: Its pool.
        status: The status at that time.
        table: Its virtual services. Values may be replaced by equal ones.
        next_change: When a weight changes by itself, in UTC; None when it does not.
    """

    service: Service
    pool: Pool
    status: Status
    table: dict[ServiceKey, VirtualService]
    next_change: datetime | None

    def is_current(self, service: Service, pool: Pool, status: Status) -> bool:
        """Tell whether it would be compiled to the same; costs nothing, as values are frozen."""
        return (
            self.service is service
            and self.pool is pool
            and self.status.overrides is status.overrides
            and self.status.agents is status.agents
            and self.status.health is status.health
            and (self.next_change is None or status.at < self.next_change)
        )


class CompiledServices:
    """Compiles services when something that they depend on has changed; belongs to one thread."""

    def __init__(self) -> None:
        self._known: dict[str, Compiled] = {}

    def get(self, name: str, state: State) -> Compiled | None:
        """Return a service as it should be; None if the farm does not have it."""
        service = state.farm.services.get(name)
        if service is None:
            self._known.pop(name, None)
            return None
        pool, known = state.farm.pools[service.pool], self._known.get(name)
        if known and known.is_current(service, pool, state.status):
            return known
        desired = compile_desired(state, [name])
        table = dict(desired.table)
        if known and known.table == table:
            table = known.table
        next_change = desired.states[name].next_change
        compiled = Compiled(service, pool, state.status, table, next_change)
        self._known[name] = compiled
        return compiled
