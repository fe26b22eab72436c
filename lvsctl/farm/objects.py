"""The objects that a store keeps, and how each is named."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from lvsctl.farm.access import Token
from lvsctl.farm.model import Director, Pool, Service, Settings
from lvsctl.farm.status import Agent, Override
from lvsctl.farm.tunnels import Tunnel


class Kind(enum.StrEnum):
    """Kinds of stored objects.

    The first five make the farm, the next two its status; tokens are neither, and no rule of the
    farm is about them.
    """

    SERVICE = "service"
    POOL = "pool"
    TUNNEL = "tunnel"
    DIRECTORS = "directors"
    SETTINGS = "settings"
    OVERRIDE = "override"
    AGENT = "agent"
    TOKEN = "token"  # noqa: S105 - the kind's name


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """A stored object.

    Attributes:
        kind: What it is.
        name: Which one: ``pool/server`` for an override, empty for directors and settings, which
            are one object each.
    """

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Directors:
    """All directors of the farm, one object."""

    directors: tuple[Director, ...] = ()


StoredObject = Service | Pool | Tunnel | Directors | Settings | Override | Agent | Token

Changes = Mapping[ObjectId, StoredObject | None]
"""New values of objects; None deletes."""
