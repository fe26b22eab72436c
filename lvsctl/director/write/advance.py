"""One step of the stored state, by this director or another. Pure."""

from dataclasses import dataclass

from lvsctl.director.state import State, pools_touched
from lvsctl.farm.objects import Changes, Kind


@dataclass(frozen=True)
class Advance:
    """A step from one state of the replica to the next.

    Attributes:
        before: The previous state.
        after: The new state.
        changes: New values; None deletes.
        by: Who committed them.
        dirty: Names of the affected services; None for all.
        moves_probes: Whether paths of probes through the tunnel changed.
        source: Address that the request came from; empty if there was none.
        changed: What changed from what to what, in words; cut where it is long.
    """

    before: State
    after: State
    changes: Changes
    by: str
    dirty: frozenset[str] | None
    moves_probes: bool
    source: str = ""
    changed: tuple[str, ...] = ()


def advance(before: State, after: State, changes: Changes, by: str) -> Advance:
    """Return the step from one state to the next."""
    dirty = services_affected(before, after, changes)
    return Advance(before, after, changes, by, dirty, before.tunnel_paths != after.tunnel_paths)


def services_affected(before: State, after: State, changes: Changes) -> frozenset[str] | None:
    """Return the services whose part of the table or VIP the changes may affect; None for all."""
    if any(object_id.kind in (Kind.SETTINGS, Kind.DIRECTORS) for object_id in changes):
        return None
    services = {object_id.name for object_id in changes if object_id.kind is Kind.SERVICE}
    pools = pools_touched(
        before, after, (object_id for object_id in changes if object_id.kind is not Kind.SERVICE)
    )
    return before.index.users_of(pools) | after.index.users_of(pools) | services
