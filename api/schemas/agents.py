"""Agents, and what they and the director tell each other (lvsctl.agent.documents reads it)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from api.schemas.base import Document
from api.schemas.fields import Address, Name, Weight
from api.schemas.status import MembershipName


class Lenient(Document):
    """A document of an agent, which may be of another version: unknown fields are passed over."""

    model_config = ConfigDict(extra="ignore")


class AcceptedTunnel(Lenient):
    """An encapsulation that a real server accepts."""

    type: str = Field(examples=["ipip"])


class Registration(Lenient):
    """What an agent says of itself when it joins or leaves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"address": "192.0.2.13", "pools": ["web"], "weight": 100}],
        }
    )

    address: Address = Field(description="Where tunnelled packets go (RIP).")
    pools: list[Name]
    weight: Weight = Field(default=100, description="In pools that do not declare the address.")
    membership: MembershipName = Field(
        default="joined",
        description="leaving gets no new connections, left has no destinations.",
    )


class Finding(Lenient):
    """One thing on a real server that was not as it should be."""

    severity: Literal["broken", "repaired"]
    subject: str = Field(description="As ip(8) or sysctl(8) names it.")
    detail: str = Field(description="What was found, what it should be, and why.")
    cure: str = Field(description="What a person can do; empty where it was mended.")
    at: str = Field(description="When, ISO 8601 in UTC.")


class Report(Lenient):
    """What an agent sees on its host."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"farm_id": "", "ready": ["198.51.100.10"], "tunnels": [{"type": "ipip"}]}]
        }
    )

    farm_id: str = Field(description="Of the assignment that it follows; empty before the first.")
    ready: list[Address] = Field(description="VIPs that are up with all they need.")
    tunnels: list[AcceptedTunnel]
    findings: list[Finding] = Field(default=[], description="What was or is wrong.")


class Assignment(Lenient):
    """What a real server's host should be."""

    farm_id: str
    agent: str
    vips: list[Address]
    tunnels: list[AcceptedTunnel]


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


class AgentStatus(TypedDict):
    """An agent as the director knows it."""

    name: str
    address: str
    pools: list[str]
    weight: int
    membership: MembershipName
    ready: Annotated[
        list[ReadinessStatus], Field(description="What it reported ready; it stays so.")
    ]
    awaited: Annotated[
        list[ReadinessStatus], Field(description="What its services still wait for.")
    ]
    age: Annotated[
        str | None,
        Field(description="Since its last report; null: none since this director started."),
    ]
    findings: Annotated[list[FindingStatus], Field(description="Of its last report.")]


class AgentWithConnections(AgentStatus):
    """An agent with the connections that end at it."""

    connections: Annotated[int, Field(description="Active ones, over all services.")]


class Agents(TypedDict):
    """All agents."""

    agents: list[AgentStatus]
