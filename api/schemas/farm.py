"""The whole farm, as in a farm file."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from api.schemas.base import Document, ReadAs, shown
from api.schemas.fields import Address, Duration, Marks, Name, Ports
from api.schemas.items import Items
from api.schemas.pool import Pool
from api.schemas.service import Service
from api.schemas.tunnel import PointToPointTunnel
from lvsctl.errors import InvalidInput, Problem, first_problems
from lvsctl.farm import model as farm
from lvsctl.farm.tunnels import Tunnel


class Director(Document):
    """A director of this farm and its addresses."""

    name: Name = Field(description="Unique among the directors.")
    addresses: Items[Address] = Field(description="Its own addresses (DIPs); no VIP may be one.")


class Timeouts(Document):
    """Idle timeouts of connections; lvsctl does not change those left out."""

    tcp: Duration | None = Field(default=None, description="For established TCP connections.")
    tcp_fin: Duration | None = Field(default=None, description="For closing TCP connections.")
    udp: Duration | None = Field(default=None, description="For UDP.")


class Settings(Document):
    """Settings of the whole farm."""

    timeouts: Timeouts = Timeouts()
    sysctls: dict[str, int] = Field(
        default={}, description="Parameters below net.ipv4.vs, in place of lvsctl's defaults."
    )
    vips: Literal["manage", "external"] = Field(
        default="manage",
        description="manage: lvsctl adds the VIPs to the director. external: something else does.",
    )
    probe_marks: Marks = Field(
        default=farm.Settings().probe_marks,
        description="Firewall marks reserved for health checks.",
        json_schema_extra={"default": str(farm.Settings().probe_marks)},
    )
    probe_ports: Ports = Field(
        default=farm.Settings().probe_ports,
        description="Source ports of the director reserved for health checks through the tunnel.",
        json_schema_extra={"default": str(farm.Settings().probe_ports)},
    )

    def value(self) -> farm.Settings:
        """Return the value that the document represents."""
        return farm.Settings(
            tcp_timeout_s=self.timeouts.tcp,
            tcp_fin_timeout_s=self.timeouts.tcp_fin,
            udp_timeout_s=self.timeouts.udp,
            sysctls=self.sysctls,
            vips=farm.VipOwner(self.vips),
            probe_marks=self.probe_marks,
            probe_ports=self.probe_ports,
        )

    @classmethod
    def of(cls, value: farm.Settings) -> Self:
        """Return the document of the settings."""
        return cls.model_construct(
            timeouts=Timeouts.model_construct(
                tcp=value.tcp_timeout_s, tcp_fin=value.tcp_fin_timeout_s, udp=value.udp_timeout_s
            ),
            sysctls=dict(value.sysctls),
            vips=str(value.vips),
            probe_marks=value.probe_marks,
            probe_ports=value.probe_ports,
        )


class Farm(Document):
    """The whole farm. services and pools are required, even if they are empty lists."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "services": [
                        {
                            "name": "web",
                            "vip": "198.51.100.10",
                            "ports": [80, 443],
                            "scheduler": "mh",
                            "pool": "web",
                        }
                    ],
                    "pools": [
                        {
                            "name": "web",
                            "real_servers": [{"name": "rs1", "address": "192.0.2.11"}],
                        }
                    ],
                    "directors": [{"name": "lb1", "addresses": ["192.0.2.10"]}],
                    "settings": {"timeouts": {"tcp": "15m"}},
                }
            ]
        }
    )

    services: Items[Annotated[farm.Service, ReadAs(Service)]] = Field(
        description="The complete list; an empty list for none."
    )
    pools: Items[Annotated[farm.Pool, ReadAs(Pool)]] = Field(
        description="The complete list; an empty list for none."
    )
    directors: Items[Director] = Field(default=[], description="The complete list.")
    settings: Settings = Settings()
    tunnels: Items[Annotated[Tunnel, ReadAs(PointToPointTunnel)]] = Field(
        default=[], description="Point-to-point tunnels, the complete list."
    )

    def value(self) -> farm.Farm:
        """Return the value that the document represents.

        Raises:
            InvalidInput: Two objects in a list have the same name.
        """
        problems = first_problems(
            chain(
                _duplicate_names("/services", self.services),
                _duplicate_names("/pools", self.pools),
                _duplicate_names("/directors", self.directors),
                _duplicate_names("/tunnels", self.tunnels),
            )
        )
        if problems:
            raise InvalidInput(problems)
        return farm.Farm(
            {service.name: service for service in self.services},
            {pool.name: pool for pool in self.pools},
            {
                director.name: farm.Director(director.name, tuple(director.addresses))
                for director in self.directors
            },
            self.settings.value(),
            {tunnel.name: tunnel for tunnel in self.tunnels},
        )

    @classmethod
    def of(cls, value: farm.Farm) -> Self:
        """Return the document of a farm."""
        return cls.model_construct(
            services=list(value.services.values()),
            pools=list(value.pools.values()),
            directors=[
                Director.model_construct(name=director.name, addresses=list(director.addresses))
                for director in value.directors.values()
            ],
            settings=Settings.of(value.settings),
            tunnels=list(value.tunnels.values()),
        )


def _duplicate_names(
    pointer: str, objects: Sequence[farm.Service | farm.Pool | Director | Tunnel]
) -> Iterator[Problem]:
    """Yield a problem for each name that an earlier object in the list at ``pointer`` has."""
    seen: set[str] = set()
    for index, named in enumerate(objects):
        if named.name in seen:
            yield Problem(
                f"{pointer}/{index}/name", f"there is another {shown(named.name)}", "each name once"
            )
        seen.add(named.name)
