"""Which services have lost their quorum; once lost, it takes more to have it back. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lvsctl.director.reconcile.cycle import ServiceHealth
from lvsctl.director.state import State
from lvsctl.farm.members import ServiceState
from lvsctl.farm.model import Farm
from lvsctl.health.weights import has_quorum
from lvsctl.net import IPAddress
from lvsctl.reasons import servers


@dataclass(frozen=True, slots=True)
class Quorums:
    """Which services had their quorum when they were last judged.

    Attributes:
        had: By the service's name; a service that wants none, or was never judged, is absent. A
            director that has just started takes what is enough to keep a quorum for enough.
    """

    had: Mapping[str, bool] = field(default_factory=dict)

    def judged(
        self, state: State, states: Mapping[str, ServiceState]
    ) -> tuple["Quorums", Mapping[str, ServiceHealth]]:
        """Return the quorums after some services were judged, and the health of those."""
        had = {name: each for name, each in self.had.items() if name in state.farm.services}
        health: dict[str, ServiceHealth] = {}
        for name, service_state in states.items():
            health[name] = self._judge(name, state, service_state)
            had.pop(name, None)
            if _wants_quorum(name, state.farm):
                had[name] = not health[name].lost_quorum
        return Quorums(had), health

    def withdrawn(self, farm: Farm) -> frozenset[IPAddress]:
        """Return the VIPs that are to be off this director for want of a quorum."""
        return frozenset(
            service.vip
            for name, had in self.had.items()
            if not had and (service := farm.services.get(name))
            if (quorum := farm.pools[service.pool].health_policy.quorum) and quorum.withdraw
        )

    def _judge(self, name: str, state: State, service_state: ServiceState) -> ServiceHealth:
        pool = state.farm.pools[state.farm.services[name].pool]
        quorum = pool.health_policy.quorum
        had = self.had.get(name)
        healthy = service_state.healthy
        lost = None
        if quorum and pool.health_checks and not has_quorum(quorum, healthy, had_quorum=had):
            needed = quorum.servers + (quorum.hysteresis if had is not None else 0)
            lost = servers.NO_QUORUM(name, healthy=healthy, needed=needed)
        return ServiceHealth(
            healthy,
            service_state.panic,
            service_state.sorry,
            lost,
            bool(lost and quorum and quorum.withdraw),
            service_state.next_change,
            {each: part.weight for each, part in service_state.parts.items()}
            if pool.health_checks
            else {},
        )


def _wants_quorum(name: str, farm: Farm) -> bool:
    pool = farm.pools[farm.services[name].pool]
    return bool(pool.health_policy.quorum and pool.health_checks)
