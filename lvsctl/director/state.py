"""What the director knows at one revision of its store, as one frozen value."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from lvsctl.director.agents.requirements import AgentRequirements
from lvsctl.director.checks.paths import paths_of_pool
from lvsctl.farm.access import Token
from lvsctl.farm.index import Index, pools_of
from lvsctl.farm.model import Farm, Pool, Service, Settings
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject
from lvsctl.farm.status import Agent, Override, ServerId, Status
from lvsctl.farm.tunnels import Tunnel
from lvsctl.health.marks import TunnelPath
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.store.commits import Batch
from lvsctl.store.interface import Contents, Stored
from lvsctl.store.position import Position

KeyT = TypeVar("KeyT")
ObjectT = TypeVar("ObjectT")


@dataclass(frozen=True)
class State:
    """The farm and its status at one revision.

    Attributes:
        farm_id: Identifies the farm.
        epoch: Epoch of the store; incremented when an operator restores or replaces it.
        revision: Revision of the latest commit.
        revisions: Revision at which each object got its present value.
        farm: What people declared.
        status: Administrative states, agents, health.
        tokens: Who may use the director, by name.
    """

    farm_id: str
    epoch: int
    revision: int
    revisions: Mapping[ObjectId, int]
    farm: Farm
    status: Status
    tokens: Mapping[str, Token] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """The farm, and the state of it."""
        return Position(self.farm_id, self.epoch, self.revision)

    @cached_property
    def index(self) -> Index:
        """The index of the farm."""
        return Index().after([(None, value) for _, value in self.objects()])

    @cached_property
    def paths_by_pool(self) -> Mapping[str, frozenset[TunnelPath]]:
        """The paths of probes through the tunnel, by pool."""
        return self._paths_by_pool({}, self.farm.pools)

    @cached_property
    def tunnel_paths(self) -> frozenset[TunnelPath]:
        """The paths of all probes through the tunnel."""
        return frozenset().union(*self.paths_by_pool.values())

    @property
    def requirements(self) -> AgentRequirements:
        """What the farm requires of its agents' hosts."""
        return AgentRequirements(self.farm, self.index)

    def value(self, object_id: ObjectId) -> StoredObject | None:
        """Return the present value of an object, None if it does not exist."""
        name = object_id.name
        match object_id.kind:
            case Kind.SERVICE:
                return self.farm.services.get(name)
            case Kind.POOL:
                return self.farm.pools.get(name)
            case Kind.TUNNEL:
                return self.farm.tunnels.get(name)
            case Kind.DIRECTORS:
                return Directors(tuple(self.farm.directors.values()))
            case Kind.SETTINGS:
                return self.farm.settings
            case Kind.OVERRIDE:
                return self.status.overrides.get(server_id(name))
            case Kind.AGENT:
                return self.status.agents.get(name)
            case Kind.TOKEN:
                return self.tokens.get(name)

    def after(self, changes: Changes, revision: int) -> "State":
        """Return the state that a commit of ``changes`` at ``revision`` leads to."""
        return self._after([(changes, revision)])

    def following(self, commits: Batch) -> "State":
        """Return the state that the next commits lead to."""
        return self._after([(commit.changes, commit.revision) for commit in commits])

    def _after(self, steps: Sequence[tuple[Changes, int]]) -> "State":
        revisions = dict(self.revisions)
        for changes, revision in steps:
            for object_id, value in changes.items():
                if value is None:
                    revisions.pop(object_id, None)
                else:
                    revisions[object_id] = revision
        by_kind = _by_kind(change for changes, _ in steps for change in changes.items())
        then = replace(
            self,
            revision=steps[-1][1],
            revisions=revisions,
            farm=_farm(self.farm, by_kind),
            status=_status(self.status, by_kind),
            tokens=_updated(self.tokens, Token, by_kind[Kind.TOKEN]),
        )
        then._derive(self, {object_id for changes, _ in steps for object_id in changes})  # noqa: SLF001 - another of this class
        return then

    def _derive(self, before: "State", changed: Collection[ObjectId]) -> None:
        """Reuse derived values of an earlier state, except those that changed objects affect."""
        self.__dict__["index"] = before.index.after(
            [(before.value(object_id), self.value(object_id)) for object_id in changed]
        )
        paths = self._paths_by_pool(before.paths_by_pool, pools_touched(before, self, changed))
        self.__dict__["paths_by_pool"] = paths
        if paths is before.paths_by_pool and "tunnel_paths" in before.__dict__:
            self.__dict__["tunnel_paths"] = before.tunnel_paths

    def _paths_by_pool(
        self, known: Mapping[str, frozenset[TunnelPath]], pools: Iterable[str]
    ) -> Mapping[str, frozenset[TunnelPath]]:
        """Return the paths of each pool, given those before some pools changed."""
        found = {
            pool: paths
            for pool in pools
            if (paths := paths_of_pool(pool, self.farm, self.index, self.status))
            != known.get(pool, frozenset())
        }
        if not found:
            return known
        then = {**known, **found}
        for pool, paths in found.items():
            if not paths:
                then.pop(pool)
        return then

    def changes_to(self, other: "State") -> Changes:
        """Return the changes that lead from this state to another."""
        held, wanted = dict(self.objects()), dict(other.objects())
        changed = {key: value for key, value in wanted.items() if held.get(key) != value}
        return {**dict.fromkeys(held.keys() - wanted.keys()), **changed}

    def seen(self, health: Mapping[TargetId, Health], at: datetime) -> "State":
        """Return the same state with the health at a given time."""
        seen = replace(self, status=self.status.seen(health, at))
        for name in ("index", "paths_by_pool", "tunnel_paths"):  # they do not depend on health
            seen.__dict__[name] = getattr(self, name)
        return seen

    def objects(self) -> Iterator[tuple[ObjectId, StoredObject]]:
        """Yield every object with its name, in creation order within each kind."""
        for service in self.farm.services.values():
            yield ObjectId(Kind.SERVICE, service.name), service
        for pool in self.farm.pools.values():
            yield ObjectId(Kind.POOL, pool.name), pool
        for tunnel in self.farm.tunnels.values():
            yield ObjectId(Kind.TUNNEL, tunnel.name), tunnel
        yield ObjectId(Kind.DIRECTORS), Directors(tuple(self.farm.directors.values()))
        yield ObjectId(Kind.SETTINGS), self.farm.settings
        for server, override in self.status.overrides.items():
            yield override_id(server), override
        for agent in self.status.agents.values():
            yield ObjectId(Kind.AGENT, agent.name), agent
        for token in self.tokens.values():
            yield ObjectId(Kind.TOKEN, token.name), token


_ByKind = Mapping[Kind, Sequence[tuple[str, StoredObject | None]]]
"""New values of objects of each kind, by name; None deletes."""


def _by_kind(changes: Iterable[tuple[ObjectId, StoredObject | None]]) -> _ByKind:
    found: dict[Kind, list[tuple[str, StoredObject | None]]] = {kind: [] for kind in Kind}
    for object_id, value in changes:
        found[object_id.kind].append((object_id.name, value))
    return found


def _farm(farm: Farm, changes: _ByKind) -> Farm:
    directors, settings = farm.directors, farm.settings
    for _, value in changes[Kind.DIRECTORS]:
        declared = value.directors if isinstance(value, Directors) else ()
        directors = {director.name: director for director in declared}
    for _, value in changes[Kind.SETTINGS]:
        settings = value if isinstance(value, Settings) else Settings()
    return Farm(
        _updated(farm.services, Service, changes[Kind.SERVICE]),
        _updated(farm.pools, Pool, changes[Kind.POOL]),
        directors,
        settings,
        _updated(farm.tunnels, Tunnel, changes[Kind.TUNNEL]),
    )


def _status(status: Status, changes: _ByKind) -> Status:
    overrides = [(server_id(name), value) for name, value in changes[Kind.OVERRIDE]]
    return status.after(
        _updated(status.overrides, Override, overrides),
        _updated(status.agents, Agent, changes[Kind.AGENT]),
        {name for name, _ in changes[Kind.AGENT]},
    )


def _updated(
    held: Mapping[KeyT, ObjectT],
    kind: type[ObjectT],
    changes: Collection[tuple[KeyT, StoredObject | None]],
) -> Mapping[KeyT, ObjectT]:
    """Return objects with other values, each in its old place or at the end."""
    if not changes:
        return held
    found = dict(held)
    for key, value in changes:
        if isinstance(value, kind):
            found[key] = value
        else:
            found.pop(key, None)
    return found


def pools_touched(before: State, after: State, changed: Iterable[ObjectId]) -> frozenset[str]:
    """Return the pools whose servers, checks or services objects belong to, before or after."""
    found: set[str] = set()
    for object_id in changed:
        if object_id.kind is Kind.OVERRIDE:
            found.add(server_id(object_id.name).pool)
        for state in (before, after):
            found.update(pools_of(state.value(object_id)))
    return frozenset(found)


def override_id(server: ServerId) -> ObjectId:
    """Return the stored object that holds the override of a server."""
    return ObjectId(Kind.OVERRIDE, str(server))


def server_id(name: str) -> ServerId:
    """Return the server that the override object of this name belongs to."""
    pool, _, server = name.partition("/")
    return ServerId(pool, server)


def state_of(contents: Contents) -> State:
    """Return the state of a store's contents."""
    by_kind = _by_kind((object_id, stored.value) for object_id, stored in contents.objects.items())
    return State(
        contents.farm_id,
        contents.epoch,
        contents.revision,
        {object_id: stored.revision for object_id, stored in contents.objects.items()},
        _farm(Farm(), by_kind),
        _status(Status(), by_kind),
        _updated({}, Token, by_kind[Kind.TOKEN]),
    )


def contents_of(state: State) -> Contents:
    """Return the contents of a store for a state."""
    objects = {
        object_id: Stored(value, revision)
        for object_id, revision in state.revisions.items()
        if (value := state.value(object_id)) is not None
    }
    return Contents(state.farm_id, state.epoch, state.revision, objects)
