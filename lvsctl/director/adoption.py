"""Whether somebody else's virtual services can be taken over as they are. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from lvsctl.director.agent_edits import LatchReady
from lvsctl.director.state import State
from lvsctl.director.wanted import wanted
from lvsctl.errors import DrasticChange
from lvsctl.ipvs_table import DeleteDestination, IpvsTable, ServiceKey
from lvsctl.plan import diff
from lvsctl.standing import members
from lvsctl.status import Readiness


@dataclass(frozen=True, slots=True)
class Adoption:
    """Services of somebody else's that the farm wants, and what they are now.

    Attributes:
        owners: The farm's service for each key.
        observed: Those virtual services.
    """

    owners: Mapping[ServiceKey, str]
    observed: IpvsTable


def latches(adoption: Adoption, state: State) -> Mapping[str, frozenset[Readiness]]:
    """Return what agents are known to be ready for because the kernel serves it already.

    Without this a director that lost its state would take servers out until their agents have
    reported again. Where it serves over another tunnel than the farm wants, it goes on so until
    the agent has reported the wanted one.
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
    aim = {key: wanted(after, [name]).table[key] for key, name in adoption.owners.items()}
    operations = diff(aim, adoption.observed, adoption.owners.keys()).operations
    removed = [op for op in operations if isinstance(op, DeleteDestination)]
    if removed:
        raise DrasticChange(
            f"adopting would remove {len(removed)} destinations that the farm does not have (yet): "
            f"{', '.join(str(op.key) for op in removed[:5])}; add them, wait for their agents, or "
            "force it",
            [*map(str, operations)],
        )
