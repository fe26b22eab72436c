"""A point-to-point tunnel as people write it, and how it is."""

from ipaddress import ip_interface
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from typing_extensions import TypedDict

from api.schemas.base import Document, shown, wrong
from api.schemas.fields import Address, Name
from api.schemas.items import Items
from lvsctl.farm import tunnels as tunnel
from lvsctl.farm.tunnels import LINK_PATTERN, MAX_KEY, MAX_TTL, IPInterface
from lvsctl.messages.model import TunnelMode

INTERFACE_ALLOWED = "an address with the length of its network's prefix, like 192.168.2.1/24"


def read_interface(value: object) -> IPInterface:
    """Return the address with prefix length that a text stands for."""
    if not isinstance(value, str) or "%" in value or "/" not in value:
        raise wrong(f"{shown(value)} is no address with a prefix length", INTERFACE_ALLOWED)
    try:
        return ip_interface(value)
    except ValueError:
        raise wrong(
            f"{shown(value)} is no address with a prefix length", INTERFACE_ALLOWED
        ) from None


Interface = Annotated[
    IPInterface,
    PlainValidator(read_interface),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["192.168.2.1/24", "fd00:9::1/64"]}),
]
LinkName = Annotated[str, WithJsonSchema({"type": "string", "pattern": LINK_PATTERN})]


class TunnelEnd(Document):
    """One end of a tunnel."""

    agent: Name = Field(description="The agent whose host it is on.")
    underlay: Address = Field(description="That host's address; the packets come from it.")
    device: LinkName | None = Field(
        default=None, description="By which the packets leave; left out, the route's."
    )
    link: LinkName | None = Field(
        default=None,
        description="Name of the tunnel's device on this host; left out, the tunnel's name.",
    )
    addresses: Items[Interface] = Field(
        description="Of this end inside; both ends have one in each inner network."
    )


class PointToPointTunnel(Document):
    """A point-to-point tunnel between the hosts of two agents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "c2d",
                    "mode": "gre",
                    "ends": [
                        {
                            "agent": "rs1",
                            "underlay": "192.0.2.11",
                            "device": "eth0",
                            "addresses": ["192.168.2.1/24"],
                        },
                        {
                            "agent": "rs2",
                            "underlay": "192.0.2.12",
                            "device": "eth0",
                            "link": "d2c",
                            "addresses": ["192.168.2.2/24"],
                        },
                    ],
                    "key": 42,
                }
            ]
        }
    )

    name: Name = Field(description="Unique among the tunnels.")
    mode: Literal["ipip", "gre", "gretap"] = Field(
        description="ipip carries IPv4 alone, gre IPv4 and IPv6, gretap Ethernet."
    )
    ends: Annotated[Items[TunnelEnd], Field(json_schema_extra={"minItems": 2, "maxItems": 2})]
    key: Annotated[int | None, Field(json_schema_extra={"minimum": 0, "maximum": MAX_KEY})] = Field(
        default=None, description="Of gre and gretap, both ways; left out, none."
    )
    ttl: Annotated[int | None, Field(json_schema_extra={"minimum": 1, "maximum": MAX_TTL})] = Field(
        default=None, description="Of the outer packets; left out, the inner packet's."
    )
    mtu: int | None = Field(
        default=None, description="Bytes inside; left out, the underlay's less the headers."
    )

    def value(self) -> tunnel.Tunnel:
        """Return what the document stands for."""
        ends = tuple(
            tunnel.End(end.agent, end.underlay, tuple(end.addresses), end.device, end.link)
            for end in self.ends
        )
        return tunnel.Tunnel(self.name, TunnelMode(self.mode), ends, self.key, self.ttl, self.mtu)

    @classmethod
    def of(cls, value: tunnel.Tunnel) -> Self:
        """Return the document of a tunnel."""
        return cls.model_construct(
            name=value.name,
            mode=value.mode.value,
            ends=[
                TunnelEnd.model_construct(
                    agent=end.agent,
                    underlay=end.underlay,
                    device=end.device,
                    link=end.link,
                    addresses=list(end.addresses),
                )
                for end in value.ends
            ],
            key=value.key,
            ttl=value.ttl,
            mtu=value.mtu,
        )


class TunnelEndStatus(TypedDict):
    """How one end is."""

    agent: str
    state: Literal["up", "down"]
    reason: Annotated[str, Field(description="Why it is down; empty where it is up.")]
    since: Annotated[str | None, Field(description="When it came to be so, ISO 8601 in UTC.")]
    mtu: Annotated[int | None, Field(description="Bytes inside, as the host has it.")]
    round_trip_ms: Annotated[
        float | None, Field(description="Mean of the answered probes of the last 20 seconds.")
    ]
    loss_percent: Annotated[
        float | None, Field(description="Of the probes of the last 20 seconds; null: none yet.")
    ]


class TunnelStatus(TypedDict):
    """How a tunnel is: up where both ends are."""

    state: Literal["up", "down"]
    reason: str
    ends: list[TunnelEndStatus]


class TunnelAnswer(PointToPointTunnel):
    """A tunnel with its status."""

    status: TunnelStatus


class Tunnels(TypedDict):
    """All tunnels."""

    tunnels: list[TunnelAnswer]
