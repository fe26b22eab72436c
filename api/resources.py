"""What has an address of its own and is written there: the farm and its objects."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from api.bodies import declared, named
from api.schemas.base import Json
from api.schemas.farm import Farm
from api.schemas.override import Override
from api.schemas.pool import Pool, RealServer
from api.schemas.service import Service
from api.schemas.tunnel import PointToPointTunnel
from api.tunnel_views import tunnel_of
from api.validation import validated
from api.views import declaration, member_of, service_of
from lvsctl.director.state import State, override_id
from lvsctl.director.write.edits import (
    DeleteObject,
    DeleteOverride,
    DeleteRealServer,
    Edit,
    PutFarm,
    PutObject,
    PutOverride,
    PutRealServer,
    pool_of,
)
from lvsctl.errors import Conflict, NotFound
from lvsctl.farm.members import Origin
from lvsctl.farm.objects import Kind, ObjectId
from lvsctl.farm.status import ServerId

FARM_KINDS = frozenset({Kind.SERVICE, Kind.POOL, Kind.TUNNEL, Kind.DIRECTORS, Kind.SETTINGS})


class Resource(Protocol):
    """One resource. ``str`` names it for a person."""

    @property
    def path(self) -> str:
        """Its address."""
        ...

    def etag(self, state: State) -> str | None:
        """Return its entity tag; None where it does not stand."""
        ...

    def put(self, document: Json) -> Edit:
        """Return the edit that makes it what a document says; raise InvalidInput."""
        ...


class Removable(Resource, Protocol):
    """A resource that can be removed."""

    def delete(self, state: State) -> Edit:
        """Return the edit that removes it; raise NotFound or Conflict."""
        ...


class Patchable(Resource, Protocol):
    """A resource of which a part can be changed."""

    def document(self, state: State) -> Json:
        """Return what is declared, the start of a patch; raise NotFound or Conflict."""
        ...


@dataclass(frozen=True, slots=True)
class FarmResource:
    """The whole farm; its entity tag stands for the revisions of all its objects."""

    force: bool = False
    path: str = "/v1/farm"

    def __str__(self) -> str:
        return "the farm"

    def etag(self, state: State) -> str:
        """Return a hash over which objects stand, and at which revisions."""
        standing = sorted(
            f"{object_id}@{revision}"
            for object_id, revision in state.revisions.items()
            if object_id.kind in FARM_KINDS
        )
        return _tag("\n".join(standing))

    def put(self, document: Json) -> Edit:
        """Return the edit that replaces the farm."""
        return PutFarm(validated(Farm, document).value(), force=self.force)


@dataclass(frozen=True, slots=True)
class ServiceResource:
    """A service."""

    name: str

    def __str__(self) -> str:
        return str(self._id)

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/services/{quote(self.name, safe='')}"

    @property
    def _id(self) -> ObjectId:
        return ObjectId(Kind.SERVICE, self.name)

    def etag(self, state: State) -> str | None:
        """Return its revision."""
        return revision_tag(state, self._id)

    def document(self, state: State) -> Json:
        """Return what is declared."""
        return Service.of(service_of(state, self.name)).plain()

    def put(self, document: Json) -> Edit:
        """Return the edit that declares it."""
        return PutObject(self._id, validated(Service, named(document, self.name)).value())

    def delete(self, state: State) -> Edit:  # noqa: ARG002 - the edit looks itself
        """Return the edit that removes it."""
        return DeleteObject(self._id)


@dataclass(frozen=True, slots=True)
class PoolResource:
    """A pool with its declared servers."""

    name: str

    def __str__(self) -> str:
        return str(self._id)

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/pools/{quote(self.name, safe='')}"

    @property
    def _id(self) -> ObjectId:
        return ObjectId(Kind.POOL, self.name)

    def etag(self, state: State) -> str | None:
        """Return its revision."""
        return revision_tag(state, self._id)

    def document(self, state: State) -> Json:
        """Return what is declared."""
        return Pool.of(pool_of(state, self.name)).plain()

    def put(self, document: Json) -> Edit:
        """Return the edit that declares it."""
        return PutObject(self._id, validated(Pool, named(document, self.name)).value())

    def delete(self, state: State) -> Edit:  # noqa: ARG002 - the edit looks itself
        """Return the edit that removes it."""
        return DeleteObject(self._id)


@dataclass(frozen=True, slots=True)
class TunnelResource:
    """A point-to-point tunnel."""

    name: str

    def __str__(self) -> str:
        return str(self._id)

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/tunnels/{quote(self.name, safe='')}"

    @property
    def _id(self) -> ObjectId:
        return ObjectId(Kind.TUNNEL, self.name)

    def etag(self, state: State) -> str | None:
        """Return its revision."""
        return revision_tag(state, self._id)

    def document(self, state: State) -> Json:
        """Return what is declared."""
        return PointToPointTunnel.of(tunnel_of(state, self.name)).plain()

    def put(self, document: Json) -> Edit:
        """Return the edit that declares it."""
        return PutObject(
            self._id, validated(PointToPointTunnel, named(document, self.name)).value()
        )

    def delete(self, state: State) -> Edit:  # noqa: ARG002 - the edit looks itself
        """Return the edit that removes it."""
        return DeleteObject(self._id)


@dataclass(frozen=True, slots=True)
class RealServerResource:
    """A server of a pool.

    It is stored within its pool and has no revision of its own, so its entity tag stands for its
    declaration: who writes another server of the pool is not in the way.
    """

    id: ServerId

    def __str__(self) -> str:
        return f"real server {self.id}"

    @property
    def path(self) -> str:
        """Its address."""
        pool = PoolResource(self.id.pool).path
        return f"{pool}/real-servers/{quote(self.id.server, safe='')}"

    def etag(self, state: State) -> str | None:
        """Return a hash of its declaration."""
        try:
            member = member_of(state, self.id.pool, self.id.server)
        except NotFound:
            return None
        plain = RealServer.of(declaration(member)).plain()
        return _tag(json.dumps([plain, member.origin], sort_keys=True))

    def document(self, state: State) -> Json:
        """Return what is declared."""
        self._refuse_undeclared(state)
        return RealServer.of(declaration(member_of(state, self.id.pool, self.id.server))).plain()

    def put(self, document: Json) -> Edit:
        """Return the edit that declares it."""
        server = validated(RealServer, named(document, self.id.server)).value()
        return PutRealServer(self.id.pool, server)

    def delete(self, state: State) -> Edit:
        """Return the edit that removes its declaration."""
        self._refuse_undeclared(state)
        return DeleteRealServer(self.id)

    def _refuse_undeclared(self, state: State) -> None:
        if member_of(state, self.id.pool, self.id.server).origin is Origin.AGENT:
            raise Conflict(
                f"{self} is not declared, its agent brought it: PUT declares it, an override "
                f"changes it at run time, and to remove it run lvsctl agent leave on its host"
            )


@dataclass(frozen=True, slots=True)
class OverrideResource:
    """The override of a server.

    Attributes:
        id: Of the server.
        by: Who writes it.
        at: When.
        force: Also where no other server serves.
    """

    id: ServerId
    by: str
    at: datetime
    force: bool = False

    def __str__(self) -> str:
        return f"the override of {self.id}"

    @property
    def path(self) -> str:
        """Its address."""
        return f"{RealServerResource(self.id).path}/override"

    def etag(self, state: State) -> str | None:
        """Return its revision."""
        return override_tag(state, self.id)

    def put(self, document: Json) -> Edit:
        """Return the edit that sets it."""
        asked = validated(Override, declared(document, {"by", "since"}))
        return PutOverride(self.id, asked.value(self.by, self.at), force=self.force)

    def delete(self, state: State) -> Edit:
        """Return the edit that lets the server be as it is declared."""
        if self.etag(state) is None:
            member_of(state, self.id.pool, self.id.server)
        return DeleteOverride(self.id)


def revision_tag(state: State, object_id: ObjectId) -> str | None:
    """Return the entity tag of a stored object; None where it does not stand."""
    revision = state.revisions.get(object_id)
    return None if revision is None else f'"{revision}"'


def override_tag(state: State, server: ServerId) -> str | None:
    """Return the entity tag of an override; None where there is none."""
    return revision_tag(state, override_id(server))


def _tag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
