"""What the director knows at one revision of its store, as one frozen value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from lvsctl.director.agents.requirements import AgentRequirements
from lvsctl.director.checks.paths import tunnel_paths
from lvsctl.farm.model import Director, Farm, Pool, Service, Settings
from lvsctl.farm.objects import Changes, Directors, Kind, ObjectId, StoredObject
from lvsctl.farm.status import Agent, Override, ServerId, Status
from lvsctl.farm.tunnels import Tunnel
from lvsctl.health.marks import TunnelPath
from lvsctl.health.target import TargetId
from lvsctl.health.weights import Health
from lvsctl.store.commits import Batch
from lvsctl.store.interface import Contents, Stored
from lvsctl.store.position import Position


@dataclass(frozen=True)
class State:
    """The farm and its status at one revision.

    Attributes:
        farm_id: Tells this farm from another.
        epoch: Of the store; rises when a person restores it or puts another in its place.
        revision: Of the latest commit that it holds.
        revisions: At which revision each object got its present value.
        farm: What people declared.
        status: Administrative states, agents, health.
    """

    farm_id: str
    epoch: int
    revision: int
    revisions: Mapping[ObjectId, int]
    farm: Farm
    status: Status

    @property
    def position(self) -> Position:
        """Which state of which farm this is."""
        return Position(self.farm_id, self.epoch, self.revision)

    @cached_property
    def requirements(self) -> AgentRequirements:
        """What the farm needs of its agents' hosts."""
        return AgentRequirements(self.farm)

    @cached_property
    def tunnel_paths(self) -> frozenset[TunnelPath]:
        """The ways that health checks take through the tunnel."""
        return tunnel_paths(self.farm, self.status)

    def value(self, object_id: ObjectId) -> StoredObject | None:
        """Return the present value of an object, None where it does not stand."""
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

    def after(self, changes: Changes, revision: int) -> "State":
        """Return the state that a commit of ``changes`` at ``revision`` leads to."""
        return self._after([(changes, revision)])

    def following(self, commits: Batch) -> "State":
        """Return the state that the next commits lead to."""
        return self._after([(commit.changes, commit.revision) for commit in commits])

    def _after(self, steps: Sequence[tuple[Changes, int]]) -> "State":
        held = dict(self.objects())
        revisions = dict(self.revisions)
        for changes, revision in steps:
            for object_id, value in changes.items():
                if value is None:
                    held.pop(object_id, None)
                    revisions.pop(object_id, None)
                else:
                    held[object_id] = value
                    revisions[object_id] = revision
        return replace(
            self,
            revision=steps[-1][1],
            revisions=revisions,
            farm=_farm(held),
            status=_status(held).seen(self.status.health, self.status.at),
        )

    def changes_to(self, other: "State") -> Changes:
        """Return the changes that lead from this state to another."""
        held, wanted = dict(self.objects()), dict(other.objects())
        changed = {key: value for key, value in wanted.items() if held.get(key) != value}
        return {**dict.fromkeys(held.keys() - wanted.keys()), **changed}

    def seen(self, health: Mapping[TargetId, Health], at: datetime) -> "State":
        """Return the same state with what is known of health at a moment."""
        seen = replace(self, status=self.status.seen(health, at))
        # Neither depends on health, and both are dear in a large farm.
        for name in ("requirements", "tunnel_paths"):
            if name in self.__dict__:
                seen.__dict__[name] = self.__dict__[name]
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


def _farm(objects: Mapping[ObjectId, StoredObject]) -> Farm:
    services: dict[str, Service] = {}
    pools: dict[str, Pool] = {}
    tunnels: dict[str, Tunnel] = {}
    directors: dict[str, Director] = {}
    settings = Settings()
    for value in objects.values():
        match value:
            case Service(name=name):
                services[name] = value
            case Pool(name=name):
                pools[name] = value
            case Tunnel(name=name):
                tunnels[name] = value
            case Directors():
                directors = {director.name: director for director in value.directors}
            case Settings():
                settings = value
            case _:
                pass
    return Farm(services, pools, directors, settings, tunnels)


def _status(objects: Mapping[ObjectId, StoredObject]) -> Status:
    overrides: dict[ServerId, Override] = {}
    agents: dict[str, Agent] = {}
    for object_id, value in objects.items():
        match value:
            case Override():
                overrides[server_id(object_id.name)] = value
            case Agent(name=name):
                agents[name] = value
            case _:
                pass
    return Status(overrides, agents)


def override_id(server: ServerId) -> ObjectId:
    """Return the stored object that holds the override of a server."""
    return ObjectId(Kind.OVERRIDE, str(server))


def server_id(name: str) -> ServerId:
    """Return the server that the override object of this name belongs to."""
    pool, _, server = name.partition("/")
    return ServerId(pool, server)


def state_of(contents: Contents) -> State:
    """Return the state that a store holds."""
    empty = State(contents.farm_id, contents.epoch, 0, {}, Farm(), Status())
    state = empty.after(
        {object_id: stored.value for object_id, stored in contents.objects.items()},
        contents.revision,
    )
    revisions = {object_id: stored.revision for object_id, stored in contents.objects.items()}
    return replace(state, revisions=revisions)


def contents_of(state: State) -> Contents:
    """Return what a store that holds a state contains."""
    objects = {
        object_id: Stored(value, revision)
        for object_id, revision in state.revisions.items()
        if (value := state.value(object_id)) is not None
    }
    return Contents(state.farm_id, state.epoch, state.revision, objects)
