"""A pool and its declared real servers as people write them."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from api.schemas.base import Document, wrong
from api.schemas.fields import Address, Name, Threshold, Weight
from lvsctl import farm
from lvsctl.ipvs_table import TunnelType


class Tunnel(Document):
    """How packets reach the servers of a pool."""

    type: Literal["ipip"] = Field(default="ipip", description="The kind of the outer header.")


class RealServer(Document):
    """A declared server of a pool."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "rs1", "address": "192.0.2.11", "weight": 100}],
        }
    )

    name: Name = Field(description="Unique in the pool.")
    address: Address = Field(description="Where tunnelled packets go (RIP); unique in the pool.")
    weight: Weight = Field(default=100, description="0 takes no new connections.")
    upper_threshold: Threshold = Field(
        default=0, description="No new connections above so many; 0 for no limit."
    )
    lower_threshold: Threshold = Field(
        default=0,
        description="New connections again below so many; 0 for three quarters of the upper.",
    )

    def value(self) -> farm.RealServer:
        """Return what the document stands for."""
        return farm.RealServer(
            self.name, self.address, self.weight, self.upper_threshold, self.lower_threshold
        )

    @classmethod
    def of(cls, value: farm.RealServer) -> Self:
        """Return the document of a real server."""
        return cls.model_construct(
            name=value.name,
            address=value.address,
            weight=value.weight,
            upper_threshold=value.upper_threshold,
            lower_threshold=value.lower_threshold,
        )


def _no_health_checks(checks: list[Any]) -> list[Any]:
    if checks:
        raise wrong("health checks are not supported yet", "an empty list")
    return checks


class Pool(Document):
    """Servers that can stand in for each other, and the tunnel to them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web",
                    "tunnel": {"type": "ipip"},
                    "real_servers": [
                        {"name": "rs1", "address": "192.0.2.11", "weight": 100},
                        {"name": "rs2", "address": "192.0.2.12", "weight": 50},
                    ],
                }
            ]
        }
    )

    name: Name = Field(description="Unique among the pools.")
    tunnel: Tunnel = Tunnel()
    health_checks: Annotated[
        list[Any],
        AfterValidator(_no_health_checks),
        WithJsonSchema({"type": "array", "maxItems": 0}),
    ] = Field(default=[], description="Not supported yet: only an empty list is taken.")
    real_servers: list[RealServer] = Field(
        default=[],
        description="The declared ones; servers whose agents joined are listed beside them.",
    )

    def value(self) -> farm.Pool:
        """Return what the document stands for."""
        return farm.Pool(
            self.name,
            farm.PoolTunnel(TunnelType[self.tunnel.type.upper()]),
            tuple(server.value() for server in self.real_servers),
        )

    @classmethod
    def of(cls, value: farm.Pool) -> Self:
        """Return the document of a pool."""
        return cls.model_construct(
            name=value.name,
            tunnel=Tunnel.model_construct(type=str(value.tunnel.type)),
            health_checks=[],
            real_servers=[RealServer.of(server) for server in value.real_servers],
        )
