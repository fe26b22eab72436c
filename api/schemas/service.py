"""A virtual service."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from api.schemas.base import Document
from api.schemas.fields import Address, Duration, Mark, Name, Port, PrefixLength, Protocol
from api.schemas.items import Items
from lvsctl.farm import model as farm
from lvsctl.farm.rules.farm import SCHEDULER_FLAGS, SCHEDULERS
from lvsctl.ipvs import table as ipvs_table
from lvsctl.net import IpProtocol, family_of

FLAGS = sorted({"ops", *(flag for flags in SCHEDULER_FLAGS.values() for flag in flags)})


class Persistence(Document):
    """Clients from the same network go to the same real server, on each port separately."""

    timeout: Duration = Field(
        description="Time after a client's last connection until persistence ends, 1s to 31d."
    )
    netmask: PrefixLength | None = Field(
        default=None,
        description="Prefix length of the client network; default: 32 (IPv6: 128), single clients.",
    )


class Service(Document):
    """A VIP with its ports, or a firewall mark, in front of a pool."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web",
                    "vip": "198.51.100.10",
                    "protocol": "tcp",
                    "ports": [80, 443],
                    "scheduler": "mh",
                    "persistence": {"timeout": "300s", "netmask": 32},
                    "pool": "web",
                }
            ]
        }
    )

    name: Name = Field(description="Unique among the services.")
    vip: Address = Field(description="The virtual address (VIP) that clients connect to.")
    protocol: Protocol | None = Field(
        default=None, description="Default: tcp; not allowed with a fwmark."
    )
    ports: Items[Port] | None = Field(
        default=None, description="There is one virtual service for each."
    )
    fwmark: Mark | None = Field(
        default=None, description="Instead of ports: a mark that the operator's firewall sets."
    )
    scheduler: Annotated[str, Field(json_schema_extra={"enum": list(SCHEDULERS)})] = Field(
        default=farm.DEFAULT_SCHEDULER, description="Name of the IPVS scheduler."
    )
    flags: Items[Annotated[str, Field(json_schema_extra={"enum": FLAGS})]] | None = Field(
        default=None,
        description="Flags of the scheduler. Default: mh-fallback and mh-port for mh (with "
        "persistence only mh-fallback), sh-fallback for sh.",
    )
    persistence: Persistence | None = Field(default=None, description="Default: none.")
    pool: Name = Field(description="Name of the pool.")
    sorry_server: Address | None = Field(
        default=None,
        description="Address of a server that is used, over the pool's tunnel, while no server of "
        "the pool is healthy.",
    )

    def value(self) -> farm.Service:
        """Return the value that the document represents."""
        return farm.Service(
            name=self.name,
            vip=self.vip,
            pool=self.pool,
            protocol=self._protocol(),
            ports=tuple(self.ports or ()),
            fwmark=self.fwmark,
            scheduler=self.scheduler,
            flags=None if self.flags is None else frozenset(self.flags),
            persistence=self._persistence(),
            sorry_server=self.sorry_server,
        )

    def _protocol(self) -> IpProtocol | None:
        if self.protocol is None:
            return IpProtocol.TCP if self.fwmark is None else None
        return IpProtocol[self.protocol.upper()]

    def _persistence(self) -> ipvs_table.Persistence | None:
        persistence = self.persistence
        if persistence is None:
            return None
        bits = family_of(self.vip).bits
        return ipvs_table.Persistence(
            persistence.timeout, bits if persistence.netmask is None else persistence.netmask
        )

    @classmethod
    def of(cls, value: farm.Service) -> Self:
        """Return the document of a service."""
        persistence = value.persistence
        return cls.model_construct(
            name=value.name,
            vip=value.vip,
            protocol=None if value.protocol is None else str(value.protocol),
            ports=list(value.ports) or None,
            fwmark=value.fwmark,
            scheduler=value.scheduler,
            flags=None if value.flags is None else sorted(value.flags),
            persistence=persistence
            and Persistence.model_construct(
                timeout=persistence.timeout_s, netmask=persistence.prefix_length
            ),
            pool=value.pool,
            sorry_server=value.sorry_server,
        )
