"""A pool and its declared real servers as people write them."""

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


def _a_port(port: int) -> int:
    if port == 0:  # within lvsctl it says that there is none
        raise wrong("0 is out of range", f"1 to {MAX_PORT}")
    return port


KIND = "The kind of the outer header: ipip, gre or gue."


class Tunnel(Document):
    """How packets reach the servers of a pool."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "ipip"},
                {"type": "gre", "checksum": True},
                {"type": "gue", "port": 6080, "mtu": 1400},
            ],
        }
    )

    type: TunnelTypeName = Field(default="ipip", description=KIND)
    port: Annotated[Port, AfterValidator(_a_port)] | None = Field(
        default=None, description=f"Of gue alone: its UDP port; left out: {farm.GUE_PORT}."
    )
    checksum: bool | None = Field(
        default=None, description="Of gre and gue: the outer header carries a checksum."
    )
    mtu: Mtu | None = Field(
        default=None,
        description="Largest outer packet, in bytes, that the network between director and real "
        "server lets through; left out where the routes of the real servers say it.",
    )

    def value(self) -> farm.PoolTunnel:
        """Return what the document stands for."""
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
    """How packets reach one server of a pool; replaces the pool's tunnel as a whole."""

    type: TunnelTypeName = Field(description=KIND)


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
        default=0, description="No new connections above this many; 0 for no limit."
    )
    lower_threshold: Threshold = Field(
        default=0,
        description="New connections again below this many; 0 for three quarters of the upper.",
    )
    tunnel: OwnTunnel | None = Field(
        default=None, description="In place of the pool's, as a whole; left out: the pool's."
    )

    def value(self) -> farm.RealServer:
        """Return what the document stands for."""
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
    """Servers that can stand in for each other, and the tunnel to them."""

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
        description="A server that does not pass all of them does not serve; with none, all serve.",
    )
    on_down: OnDown | None = Field(
        default=None,
        description="What becomes of a server that is down: remove, where nothing is said, or "
        "quiesce, which keeps it at weight 0.",
    )
    slow_start: SlowStart | None = Field(
        default=None, description="Left out: the whole weight at once."
    )
    quorum: Quorum | None = Field(default=None, description="Left out: none.")
    panic_below: Percent | None = Field(
        default=None,
        description="With a smaller share of healthy servers, in percent, those that are down "
        "serve as well; left out: only with none.",
    )
    real_servers: Items[RealServer] = Field(
        default=[],
        description="The declared ones; servers whose agents joined are listed beside them.",
    )

    def value(self) -> farm.Pool:
        """Return what the document stands for."""
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
