"""A point-to-point tunnel and its status."""

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

INTERFACE_ALLOWED = "an address with its prefix length, like 192.168.2.1/24"


def read_interface(value: object) -> IPInterface:
    """Parse an address with a prefix length."""
    if not isinstance(value, str) or "%" in value or "/" not in value:
        raise wrong(f"{shown(value)} is not an address with a prefix length", INTERFACE_ALLOWED)
    try:
        return ip_interface(value)
    except ValueError:
        raise wrong(
            f"{shown(value)} is not an address with a prefix length", INTERFACE_ALLOWED
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

    agent: Name = Field(description="Agent of the host.")
    underlay: Address = Field(description="Address of the host, the source of outer packets.")
    device: LinkName | None = Field(
        default=None, description="Device that outer packets leave by; default: by the routes."
    )
    link: LinkName | None = Field(
        default=None,
        description="Name of the tunnel device on this host; default: the tunnel's name.",
    )
    addresses: Items[Interface] = Field(
        description="Inner addresses; each end has one in every inner network."
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
        description="ipip carries IPv4 only, gre IPv4 and IPv6, gretap Ethernet."
    )
    ends: Annotated[Items[TunnelEnd], Field(json_schema_extra={"minItems": 2, "maxItems": 2})]
    key: Annotated[int | None, Field(json_schema_extra={"minimum": 0, "maximum": MAX_KEY})] = Field(
        default=None, description="For gre and gretap: key in both directions; default: none."
    )
    ttl: Annotated[int | None, Field(json_schema_extra={"minimum": 1, "maximum": MAX_TTL})] = Field(
        default=None, description="TTL of outer packets; default: copied from the inner packet."
    )
    mtu: int | None = Field(
        default=None, description="MTU of the tunnel device; default: underlay MTU minus headers."
    )

    def value(self) -> tunnel.Tunnel:
        """Return the value that the document represents."""
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
    """Status of one end."""

    agent: str
    state: Literal["up", "down"]
    reason: Annotated[str, Field(description="Why it is down; empty if it is up.")]
    since: Annotated[str | None, Field(description="When that last changed, ISO 8601 in UTC.")]
    mtu: Annotated[int | None, Field(description="MTU of the tunnel device on the host.")]
    round_trip_ms: Annotated[
        float | None, Field(description="Mean round trip of probes in the last 20 seconds.")
    ]
    loss_percent: Annotated[
        float | None, Field(description="Probes lost in the last 20 seconds; null: none sent yet.")
    ]


class TunnelStatus(TypedDict):
    """Status of a tunnel; it is up if both ends are."""

    state: Literal["up", "down"]
    reason: str
    ends: list[TunnelEndStatus]


class TunnelAnswer(PointToPointTunnel):
    """A tunnel with its status."""

    status: TunnelStatus


class Tunnels(TypedDict):
    """All tunnels."""

    tunnels: list[TunnelAnswer]
