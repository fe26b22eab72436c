"""Which services have lost their quorum; once lost, it takes more to have it back."""

from collections.abc import Mapping

from lvsctl.director.reconcile.cycle import ServiceHealth
from lvsctl.director.state import State
from lvsctl.farm.members import ServiceState
from lvsctl.farm.model import Farm
from lvsctl.health.weights import has_quorum
from lvsctl.net import IPAddress


class Quorums:
    """Remembers who had a quorum; belongs to the reconciler's thread.

    A director that has just started takes what is enough to keep one for enough.
    """

    def __init__(self) -> None:
        self._had: dict[str, bool] = {}

    def judge(
        self, state: State, states: Mapping[str, ServiceState]
    ) -> Mapping[str, ServiceHealth]:
        """Return what the health of their pools comes to for some services."""
        return {name: self._judge(name, state, stands) for name, stands in states.items()}

    def withdrawn(self, farm: Farm) -> frozenset[IPAddress]:
        """Return the VIPs that are to be off this director for want of a quorum."""
        self._had = {name: had for name, had in self._had.items() if name in farm.services}
        return frozenset(
            service.vip
            for name, had in self._had.items()
            if not had
            for service in [farm.services[name]]
            if (quorum := farm.pools[service.pool].health_policy.quorum) and quorum.withdraw
        )

    def _judge(self, name: str, state: State, stands: ServiceState) -> ServiceHealth:
        pool = state.farm.pools[state.farm.services[name].pool]
        quorum = pool.health_policy.quorum
        lost = ""
        if quorum is None or not pool.health_checks:
            self._had.pop(name, None)
        else:
            had = self._had.get(name)
            self._had[name] = has_quorum(quorum, stands.healthy, had_quorum=had)
            if not self._had[name]:
                needed = quorum.servers + (quorum.hysteresis if had is not None else 0)
                lost = f"no quorum: {stands.healthy} servers are healthy, {needed} are needed"
        return ServiceHealth(
            stands.healthy,
            stands.panic,
            stands.sorry,
            lost,
            bool(lost and quorum and quorum.withdraw),
            stands.next_change,
            {each: part.weight for each, part in stands.parts.items()}
            if pool.health_checks
            else {},
        )
