"""A pool and its declared real servers."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field

from api.schemas.base import Document, wrong
from api.schemas.fields import Address, Mtu, Name, Port, Threshold, Weight
from api.schemas.health_check import HealthCheck, document_of
from api.schemas.health_policy import OnDown, Percent, Quorum, SlowStart
from api.schemas.items import Items
from lvsctl.farm import model as farm
from lvsctl.farm import policy
from lvsctl.farm.rules.farm import MAX_PORT
from lvsctl.ipvs.table import TunnelType

TunnelTypeName = Literal["ipip", "gre", "gue"]


def _not_zero(port: int) -> int:
    if port == 0:  # internally, 0 means no port
        raise wrong("0 is out of range", f"1 to {MAX_PORT}")
    return port


TYPE = "Encapsulation: ipip, gre or gue."


class Tunnel(Document):
    """The tunnel from the director to the servers of a pool."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "ipip"},
                {"type": "gre", "checksum": True},
                {"type": "gue", "port": 6080, "mtu": 1400},
            ],
        }
    )

    type: TunnelTypeName = Field(default="ipip", description=TYPE)
    port: Annotated[Port, AfterValidator(_not_zero)] | None = Field(
        default=None, description=f"For gue only: UDP port; default: {farm.GUE_PORT}."
    )
    checksum: bool | None = Field(
        default=None, description="For gre and gue: send a checksum in the outer header."
    )
    mtu: Mtu | None = Field(
        default=None,
        description="Largest outer packet in bytes that the network between director and real "
        "servers carries; default: as the routes of the real servers say.",
    )

    def value(self) -> farm.PoolTunnel:
        """Return the value that the document represents."""
        default_port = farm.GUE_PORT if self.type == "gue" else 0
        return farm.PoolTunnel(
            TunnelType[self.type.upper()],
            default_port if self.port is None else self.port,
            bool(self.checksum),
            self.mtu,
        )

    @classmethod
    def of(cls, value: farm.PoolTunnel) -> Self:
        """Return the document of a tunnel."""
        return cls.model_construct(
            type=str(value.type),
            port=value.port or None,
            checksum=value.checksum or None,
            mtu=value.mtu,
        )


class OwnTunnel(Tunnel):
    """The tunnel to one server; replaces the pool's tunnel as a whole."""

    type: TunnelTypeName = Field(description=TYPE)


class RealServer(Document):
    """A declared server of a pool."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "rs1", "address": "192.0.2.11", "weight": 100}],
        }
    )

    name: Name = Field(description="Unique in the pool.")
    address: Address = Field(description="Real server address (RIP); unique in the pool.")
    weight: Weight = Field(default=100, description="With 0 it gets no new connections.")
    upper_threshold: Threshold = Field(
        default=0,
        description="Number of connections above which it gets no new ones; 0 for no limit.",
    )
    lower_threshold: Threshold = Field(
        default=0,
        description="Number of connections below which it gets new ones again; 0 for three "
        "quarters of upper_threshold.",
    )
    tunnel: OwnTunnel | None = Field(
        default=None, description="Replaces the pool's tunnel as a whole; default: the pool's."
    )

    def value(self) -> farm.RealServer:
        """Return the value that the document represents."""
        return farm.RealServer(
            self.name,
            self.address,
            self.weight,
            self.upper_threshold,
            self.lower_threshold,
            self.tunnel.value() if self.tunnel else None,
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
            tunnel=OwnTunnel.of(value.tunnel) if value.tunnel else None,
        )


class Pool(Document):
    """Interchangeable real servers, and the tunnel to them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web",
                    "tunnel": {"type": "ipip"},
                    "health_checks": [{"type": "http", "port": 80, "path": "/healthz"}],
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
    health_checks: Items[HealthCheck] = Field(
        default=[],
        description="A server must pass all of them; with none, every server is in use.",
    )
    on_down: OnDown | None = Field(
        default=None,
        description="remove (default) removes a server that is down from the table, quiesce keeps "
        "it with weight 0.",
    )
    slow_start: SlowStart | None = Field(
        default=None, description="Default: none; servers get their full weight at once."
    )
    quorum: Quorum | None = Field(default=None, description="Default: none.")
    panic_below: Percent | None = Field(
        default=None,
        description="If a smaller percentage of the servers is healthy, those that are down serve "
        "too; default: only if none is healthy.",
    )
    real_servers: Items[RealServer] = Field(
        default=[],
        description="Declared servers; those whose agents joined the pool are not declared.",
    )

    def value(self) -> farm.Pool:
        """Return the value that the document represents."""
        return farm.Pool(
            self.name,
            self.tunnel.value(),
            tuple(server.value() for server in self.real_servers),
            tuple(check.value() for check in self.health_checks),
            self._health_policy(),
        )

    def _health_policy(self) -> policy.HealthPolicy:
        return policy.HealthPolicy(
            policy.OnDown(self.on_down or policy.OnDown.REMOVE),
            self.slow_start.value() if self.slow_start else None,
            self.quorum.value() if self.quorum else None,
            self.panic_below or 0,
        )

    @classmethod
    def of(cls, value: farm.Pool) -> Self:
        """Return the document of a pool."""
        health = value.health_policy
        return cls.model_construct(
            name=value.name,
            tunnel=Tunnel.of(value.tunnel),
            health_checks=[document_of(check) for check in value.health_checks],
            real_servers=[RealServer.of(server) for server in value.real_servers],
            on_down=None if health.on_down is policy.OnDown.REMOVE else str(health.on_down),
            slow_start=SlowStart.of(health.slow_start) if health.slow_start else None,
            quorum=Quorum.of(health.quorum) if health.quorum else None,
            panic_below=health.panic_below or None,
        )
