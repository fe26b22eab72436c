"""Whether foreign virtual services can be taken over as they are. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from lvsctl.director.agents.edits import LatchReady
from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.state import State
from lvsctl.errors import DrasticChange
from lvsctl.farm.members import members
from lvsctl.farm.status import Readiness
from lvsctl.ipvs.diff import diff
from lvsctl.ipvs.table import DeleteDestination, IpvsTable, ServiceKey


@dataclass(frozen=True, slots=True)
class Adoption:
    """Foreign virtual services that the farm declares, and their present configuration.

    Attributes:
        owners: The farm's service for each key.
        observed: Those virtual services.
    """

    owners: Mapping[ServiceKey, str]
    observed: IpvsTable


def latches(adoption: Adoption, state: State) -> Mapping[str, frozenset[Readiness]]:
    """Return the readiness of agents implied by what the kernel already serves.

    Otherwise a director that lost its state would take servers out until their agents have
    reported again. A server that serves over another tunnel than the farm wants keeps it until
    its agent has reported the desired one.
    """
    found: dict[str, frozenset[Readiness]] = {}
    for key, name in adoption.owners.items():
        service = state.farm.services[name]
        pool = state.farm.pools[service.pool]
        served = {
            destination.address: config.encapsulation
            for destination, config in adoption.observed[key].destinations.items()
        }
        for member in members(pool, state.status):
            if member.agent and (encapsulation := served.get(member.address)):
                ready = Readiness(service.vip, encapsulation)
                found[member.agent.name] = found.get(member.agent.name, frozenset()) | {ready}
    return found


def refuse_removals(adoption: Adoption, latch: LatchReady, state: State) -> None:
    """Refuse an adoption whose first edit would remove destinations.

    Raises:
        DrasticChange: With that first edit.
    """
    after = state.after(latch.changes(state), state.revision)
    desired = {
        key: compile_desired(after, [name]).table[key] for key, name in adoption.owners.items()
    }
    operations = diff(desired, adoption.observed, adoption.owners.keys()).operations
    removed = [op for op in operations if isinstance(op, DeleteDestination)]
    if removed:
        raise DrasticChange(
            f"adopting would remove {len(removed)} destinations that the farm does not have (yet): "
            f"{', '.join(str(op.key) for op in removed[:5])}; add them, wait for their agents, or "
            "force it",
            [*map(str, operations)],
        )
