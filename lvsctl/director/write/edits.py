"""Edits of the farm as values: each computes the changes to commit from a state.

An edit never writes. :mod:`lvsctl.director.write.committer` applies it, checks the
resulting farm and stores the changes.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from lvsctl.director.reconcile.desired import compile_desired
from lvsctl.director.state import State, override_id
from lvsctl.errors import Conflict, DrasticChange, InvalidInput, NotFound, Problem
from lvsctl.farm.index import in_order
from lvsctl.farm.members import members
from lvsctl.farm.model import Farm, Pool, RealServer, Service, Settings
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject
from lvsctl.farm.rules.changes import drastic, moved_marks
from lvsctl.farm.rules.farm import broken_override_rules
from lvsctl.farm.status import AdministrativeState, Override, ServerId
from lvsctl.farm.tunnels import Tunnel
from lvsctl.ipvs.diff import diff


class Edit(ABC):
    """One request to change the state."""

    @abstractmethod
    def changes(self, state: State) -> Changes:
        """Return the new values; raise NotFound or Conflict if the state does not allow them."""

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Translate a problem of an object to one of the request's document.

        By default that object is another one, and the document as a whole is at fault.
        """
        return Problem("", f"{broken}: {problem.detail}", problem.allowed)

    def guard(self, before: State, after: State) -> None:  # noqa: B027 - most edits refuse none
        """Refuse a change that is valid but dangerous."""


@dataclass(frozen=True)
class PutFarm(Edit):
    """Replace the whole farm; overrides and agents are kept.

    Attributes:
        farm: The new farm.
        force: Make the change even if it takes most of the farm away.
    """

    farm: Farm
    force: bool = False

    def changes(self, state: State) -> Changes:
        """Return the differences from the present farm."""
        wanted: dict[ObjectId, StoredObject] = {
            **{ObjectId(Kind.POOL, pool.name): pool for pool in self.farm.pools.values()},
            **{
                ObjectId(Kind.SERVICE, service.name): service
                for service in self.farm.services.values()
            },
            **{ObjectId(Kind.TUNNEL, tunnel.name): tunnel for tunnel in self.farm.tunnels.values()},
            ObjectId(Kind.DIRECTORS): Directors(tuple(self.farm.directors.values())),
            ObjectId(Kind.SETTINGS): self.farm.settings,
        }
        gone = [ObjectId(Kind.SERVICE, name) for name in state.farm.services]
        gone += [ObjectId(Kind.POOL, name) for name in state.farm.pools]
        gone += [ObjectId(Kind.TUNNEL, name) for name in state.farm.tunnels]
        return wanted | {object_id: None for object_id in gone if object_id not in wanted}

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Locate the problem in the farm document, by section and index."""
        match broken.kind:
            case Kind.SERVICE:
                return problem.below(f"/services/{list(self.farm.services).index(broken.name)}")
            case Kind.POOL:
                return problem.below(f"/pools/{list(self.farm.pools).index(broken.name)}")
            case Kind.TUNNEL:
                return problem.below(f"/tunnels/{list(self.farm.tunnels).index(broken.name)}")
            case _:
                return problem.below(f"/{broken.kind}")

    def guard(self, before: State, after: State) -> None:
        """Refuse a drastic change or one that interrupts a service, unless it is forced."""
        if self.force:
            return
        reasons = [*drastic(before.farm, after.farm)]
        reasons += moved_marks(before.farm, before.index, after.farm.services.values())
        if reasons:
            raise DrasticChange("; ".join(reasons), describe_operations(before, after, None))


@dataclass(frozen=True)
class PutObject(Edit):
    """Create or replace one object of the farm."""

    object_id: ObjectId
    value: Service | Pool | Tunnel | Directors | Settings

    def changes(self, state: State) -> Changes:  # noqa: ARG002 - the same in every state
        """Return the new value."""
        return {self.object_id: self.value}

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Locate the problem in the object; problems elsewhere concern the whole document."""
        return problem if broken == self.object_id else super().locate(broken, problem)

    def guard(self, before: State, after: State) -> None:  # noqa: ARG002 - says enough by itself
        """Refuse to interrupt a service."""
        if isinstance(self.value, Service):
            moved = [*moved_marks(before.farm, before.index, [self.value])]
            if moved:
                raise Conflict("; ".join(moved))


@dataclass(frozen=True)
class DeleteObject(Edit):
    """Remove one object of the farm."""

    object_id: ObjectId

    def changes(self, state: State) -> Changes:
        """Refuse to remove a missing object or a pool in use."""
        if state.value(self.object_id) is None:
            raise NotFound(f"there is no {self.object_id}")
        if self.object_id.kind is Kind.POOL:
            users = state.index.users.get(self.object_id.name, ())
            if users:
                named = ", ".join(in_order(state.farm, users))
                raise Conflict(
                    f"{self.object_id} is used by: {named}; remove these or give them another pool"
                )
        return {self.object_id: None}


def pool_of(state: State, name: str) -> Pool:
    """Return a pool, or raise NotFound."""
    pool = state.farm.pools.get(name)
    if pool is None:
        raise NotFound(f"there is no pool {name}")
    return pool


@dataclass(frozen=True)
class PutRealServer(Edit):
    """Declare a server of a pool, or change its declaration."""

    pool: str
    server: RealServer

    def changes(self, state: State) -> Changes:
        """Return the pool with the server in its place, or at the end."""
        pool = pool_of(state, self.pool)
        others = {server.name: server for server in pool.real_servers}
        servers = tuple((others | {self.server.name: self.server}).values())
        return {ObjectId(Kind.POOL, self.pool): replace(pool, real_servers=servers)}

    def locate(self, broken: ObjectId, problem: Problem) -> Problem:
        """Locate the problem in the server, if it is one of its fields."""
        if broken != ObjectId(Kind.POOL, self.pool):
            return super().locate(broken, problem)
        section, _, field = problem.pointer.removeprefix("/real_servers/").partition("/")
        return replace(problem, pointer=f"/{field}") if section.isdigit() else problem


@dataclass(frozen=True)
class DeleteRealServer(Edit):
    """Remove a declared server from its pool."""

    id: ServerId

    def changes(self, state: State) -> Changes:
        """Return the pool without the server."""
        pool = pool_of(state, self.id.pool)
        rest = tuple(server for server in pool.real_servers if server.name != self.id.server)
        if len(rest) == len(pool.real_servers):
            raise NotFound(f"pool {self.id.pool} declares no real server {self.id.server}")
        return {ObjectId(Kind.POOL, self.id.pool): replace(pool, real_servers=rest)}


@dataclass(frozen=True)
class PutOverride(Edit):
    """Set the administrative state or a run-time weight of a server.

    Attributes:
        id: Of the server.
        override: What is set.
        force: Also where the server is the last one that serves.
    """

    id: ServerId
    override: Override
    force: bool = False

    def changes(self, state: State) -> Changes:
        """Refuse an invalid weight, and an unknown server."""
        problems = list(broken_override_rules(self.override))
        if problems:
            raise InvalidInput(problems)
        pool = pool_of(state, self.id.pool)
        if self.id not in {member.id for member in members(pool, state.status)}:
            raise NotFound(f"pool {self.id.pool} has no real server {self.id.server}")
        return {override_id(self.id): self.override}

    def guard(self, before: State, after: State) -> None:
        """Refuse to take out the last server that serves, unless it is forced."""
        users = after.index.users.get(self.id.pool, ())
        left = [] if self.force else [*unserved(before, after, users)]
        if left:
            named = ", ".join(in_order(after.farm, left))
            raise DrasticChange(
                f"{self.id} is the last server that takes connections of {named}",
                describe_operations(before, after, in_order(after.farm, users)),
            )


@dataclass(frozen=True)
class EndDrain(Edit):
    """Disable a draining server whose deadline has passed.

    Attributes:
        id: Of the server.
        override: The override whose deadline has passed.
        now: In UTC.
    """

    id: ServerId
    override: Override
    now: datetime

    def changes(self, state: State) -> Changes:
        """Return nothing if the override has changed in the meantime."""
        override = self.override
        if state.status.overrides.get(self.id) != override:
            return {}
        because = f": {override.reason}" if override.reason else ""
        ended = replace(
            override,
            state=AdministrativeState.DISABLED,
            reason=f"its drain is over{because}",
            since=self.now,
            deadline=None,
        )
        return {override_id(self.id): ended}


@dataclass(frozen=True)
class DeleteOverride(Edit):
    """Remove the override of a server; idempotent."""

    id: ServerId

    def changes(self, state: State) -> Changes:  # noqa: ARG002 - the same in every state
        """Return the removal."""
        return {override_id(self.id): None}


def unserved(before: State, after: State, names: Collection[str]) -> Iterator[str]:
    """Yield the given services that have a serving server before, and none after."""
    for name in names:
        if _is_served(before, name) and not _is_served(after, name):
            yield name


def _is_served(state: State, name: str) -> bool:
    """Tell whether a healthy server gets new connections; those kept by panic do not count."""
    return any(stands.healthy for stands in compile_desired(state, [name]).states.values())


def describe_operations(
    before: State, after: State, names: Collection[str] | None
) -> tuple[str, ...]:
    """Return the operations of a change on an IPVS table without drift, in words.

    Args:
        before: The state that the table corresponds to.
        after: The new state.
        names: Affected services; None for all.
    """
    if names is None:
        names = before.farm.services.keys() | after.farm.services.keys()
    old = compile_desired(before, names).table
    new = compile_desired(after, names).table
    return tuple(map(str, diff(new, old, old.keys()).operations))


def describe_changes(before: State, changes: Changes) -> tuple[str, ...]:
    """Return the objects that a change adds, changes and removes, in words."""
    return tuple(
        f"{'remove' if value is None else 'change' if before.value(key) else 'add'} {key}"
        for key, value in changes.items()
    )
