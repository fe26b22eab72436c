"""One step of the stored state, whoever committed it. Pure."""

from dataclasses import dataclass

from lvsctl.director.state import State, server_id
from lvsctl.farm.model import Pool, Service
from lvsctl.farm.objects import Changes, Kind
from lvsctl.farm.status import Agent


@dataclass(frozen=True)
class Advance:
    """From one state of the replica to the next.

    Attributes:
        before: The state that it was.
        after: The state that it is.
        changes: New values; None deletes.
        by: Who committed them.
        dirty: Names of the services that they bear on; None for everything.
        moves_probes: Health checks take other paths through the tunnel than before.
    """

    before: State
    after: State
    changes: Changes
    by: str
    dirty: frozenset[str] | None
    moves_probes: bool


def advance(before: State, after: State, changes: Changes, by: str) -> Advance:
    """Return the step from one state to the next."""
    dirty = services_affected(before, after, changes)
    return Advance(before, after, changes, by, dirty, before.tunnel_paths != after.tunnel_paths)


def services_affected(before: State, after: State, changes: Changes) -> frozenset[str] | None:
    """Return the services whose part of the table, or VIP, changes may alter; None for all."""
    names: set[str] = set()
    pools: set[str] = set()
    for object_id in changes:
        for state in (before, after):
            match state.value(object_id):
                case Service(name=name):
                    names.add(name)
                case Pool(name=name):
                    pools.add(name)
                case Agent(pools=joined):
                    pools.update(joined)
                case _:
                    pass
        if object_id.kind is Kind.OVERRIDE:
            pools.add(server_id(object_id.name).pool)
        if object_id.kind in (Kind.SETTINGS, Kind.DIRECTORS):
            return None
    for state in (before, after):
        names.update(s.name for s in state.farm.services.values() if s.pool in pools)
    return frozenset(names)
