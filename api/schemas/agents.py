"""Agents and their messages, for the documentation; lvsctl.messages.documents parses these."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from api.schemas.base import Document
from api.schemas.fields import Address, Name, Weight
from api.schemas.items import Items
from api.schemas.status import MembershipName
from api.schemas.tunnel import Interface
from lvsctl.messages.limits import MAX_FINDINGS


class Lenient(Document):
    """A document of an agent, possibly of another version: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class AcceptedTunnel(Lenient):
    """An encapsulation that a real server accepts."""

    type: str = Field(examples=["ipip"])
    port: int = Field(default=0, description="UDP port of gue; 0 for the others.")
    checksum: bool = Field(default=False, description="The outer header has a checksum.")


class Registration(Lenient):
    """Registration of an agent, when it joins or leaves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"address": "192.0.2.13", "pools": ["web"], "weight": 100}],
        }
    )

    address: Address = Field(description="Real server address (RIP).")
    pools: Items[Name]
    weight: Weight = Field(
        default=100, description="Weight in pools that do not declare the address."
    )
    membership: MembershipName = Field(
        default="joined",
        description="leaving gets no new connections, left has no destinations.",
    )


class Finding(Lenient):
    """Something on a real server that differed from the desired state."""

    severity: Literal["broken", "repaired"]
    subject: str = Field(max_length=200, description="As ip(8) or sysctl(8) names it.")
    detail: str = Field(max_length=1000, description="Actual and desired state, and the cause.")
    cure: str = Field(
        max_length=1000, description="What a person can do; empty if it was repaired."
    )
    at: str = Field(max_length=40, description="When, ISO 8601 in UTC.")
    code: str = Field(
        default="",
        max_length=60,
        description="What it is, for programs (docs/reasons.md); empty from an older agent.",
    )


class TunnelEndState(Lenient):
    """State of one end of a point-to-point tunnel."""

    tunnel: str
    up: bool = Field(description="It is configured, and the other end answers.")
    since: str = Field(description="ISO 8601 in UTC.")
    reason: str = Field(default="", description="Why it is down.")
    mtu: int | None = None
    round_trip_us: int | None = Field(default=None, description="Mean, in microseconds.")
    sent: int = Field(default=0, description="Probes of the last 20 seconds.")
    lost: int = Field(default=0, description="Probes among them that were not answered.")


class AssignedTunnelEnd(Lenient):
    """Configuration of one end of a point-to-point tunnel."""

    tunnel: str
    link: str = Field(description="Name of its device on this host.")
    mode: Literal["ipip", "gre", "gretap"]
    local: Address
    remote: Address
    addresses: Items[Interface]
    peers: Items[Address] = Field(
        default=[], description="Addresses of the other end inside the tunnel."
    )
    device: str | None = None
    key: int | None = None
    ttl: int | None = None
    mtu: int | None = None


class Report(Lenient):
    """Observed state of an agent's host."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"farm_id": "", "ready": ["198.51.100.10"], "tunnels": [{"type": "ipip"}]}]
        }
    )

    farm_id: str = Field(description="From the assignment in use; empty before the first.")
    ready: Items[Address] = Field(description="VIPs that are fully configured.")
    tunnels: Items[AcceptedTunnel]
    findings: Items[Finding] = Field(
        default=[], max_length=MAX_FINDINGS, description="Problems, repaired or not."
    )
    tunnel_ends: Items[TunnelEndState] = Field(default=[], description="Point-to-point tunnels.")


class Assignment(Lenient):
    """Desired state of an agent's host."""

    farm_id: str
    agent: str
    vips: Items[Address]
    tunnels: Items[AcceptedTunnel]
    mtu: int | None = Field(
        default=None,
        description="Largest outer packet that the network from the director carries; null: as the "
        "host's routes say.",
    )
    tunnel_ends: Items[AssignedTunnelEnd] = Field(
        default=[], description="Ends of point-to-point tunnels on this host."
    )
    epoch: int = Field(
        default=0, description="Increases when a person restores or replaces the farm's store."
    )
    revision: int = Field(
        default=0,
        description="Revision of the farm. Agents ignore assignments older than the last (epoch, "
        "revision).",
    )


class ReadinessStatus(TypedDict):
    """A VIP over a tunnel type."""

    vip: str
    tunnel: str


class FindingStatus(TypedDict):
    """One thing on a real server that was not as it should be."""

    severity: str
    subject: str
    detail: str
    cure: str
    at: str
    code: Annotated[str, Field(description="What it is, for programs; empty from an older agent.")]


class AgentStatus(TypedDict):
    """An agent as the director knows it."""

    name: str
    address: str
    pools: list[str]
    weight: int
    membership: MembershipName
    ready: Annotated[list[ReadinessStatus], Field(description="What it has ever reported ready.")]
    awaited: Annotated[
        list[ReadinessStatus], Field(description="What its services still wait for.")
    ]
    accepts: Annotated[
        list[str], Field(description="Tunnels in its last report.", examples=[["gue:6080"]])
    ]
    age: Annotated[
        str | None,
        Field(description="Since its last report; null: none since this director started."),
    ]
    findings: Annotated[list[FindingStatus], Field(description="Findings in its last report.")]


class AgentWithConnections(AgentStatus):
    """An agent with the connections that end at it."""

    connections: Annotated[int, Field(description="Active connections of all services.")]


class Agents(TypedDict):
    """All agents."""

    agents: list[AgentStatus]
