"""Run-time status, shown with the declaration; read-only."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.override import AtDeadlineName, State
from api.schemas.pool import Pool, RealServer
from api.schemas.reasons import Explained, ReasonCode
from api.schemas.service import Service

KeyStateName = Literal["applied", "pending", "conflict", "held"]
Origin = Literal["declared", "agent"]
MembershipName = Literal["joined", "leaving", "left"]

ServerWeight = Annotated[
    int | None, Field(description="Weight in the IPVS table; null: not in the table.")
]
TunnelInUse = Annotated[
    str | None,
    Field(
        description="Tunnel in use; null: not in the table.",
        examples=["ipip", "gre+checksum", "gue:6080"],
    ),
]
Pending = Annotated[
    bool,
    Field(description="Waiting for its agent to report the desired tunnel ready, see reason."),
]
HealthName = Literal["up", "down", "unknown"]
Healthy = Annotated[
    HealthName | None,
    Field(
        description="Verdict of its health checks; unknown: no verdict yet; null: its pool has no "
        "checks."
    ),
]
Since = Annotated[
    str | None,
    Field(
        description="When that last changed; null: before checking began.",
        json_schema_extra={"format": "date-time"},
    ),
]
Frozen = Annotated[
    str | None,
    Field(description="Why probes do not count at present, which freezes the verdict; else null."),
]


class KeyStatus(Explained):
    """State of one virtual service in this director's kernel."""

    key: Annotated[str, Field(examples=["tcp 198.51.100.10:80"])]
    state: KeyStateName


class DestinationStatus(Explained):
    """State of a real server in a service."""

    server: str
    address: str
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    health: Healthy


class ServiceHealth(TypedDict):
    """Health of a service's pool."""

    healthy: Annotated[int, Field(description="Healthy servers that take new connections.")]
    panic: Annotated[str, Field(description="Why unhealthy servers serve; empty: none does.")]
    panic_code: ReasonCode
    sorry: Annotated[bool, Field(description="The sorry server takes the new connections.")]
    lost_quorum: Annotated[
        str, Field(description="Why quorum is lost; empty: it is not, or none is required.")
    ]
    lost_quorum_code: ReasonCode
    withdrawn: Annotated[
        bool, Field(description="The VIP is withdrawn from this director for lack of quorum.")
    ]


class ServiceStatus(Explained):
    """State of a service in this director's kernel."""

    state: Annotated[KeyStateName, Field(description="Worst state of its virtual services.")]
    keys: list[KeyStatus]
    health: Annotated[ServiceHealth | None, Field(description="null: not reconciled yet.")]
    destinations: list[DestinationStatus]


class AgentContact(TypedDict):
    """The agent of a real server."""

    name: str
    membership: MembershipName
    age: Annotated[
        str | None,
        Field(description="Since its last report; null: none since this director started."),
    ]


class ServiceWeight(Explained):
    """State of a real server in one service."""

    service: str
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending


class DrainStatus(TypedDict):
    """Progress of a drain."""

    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    deadline: Annotated[
        str | None,
        Field(description="null: no time limit.", json_schema_extra={"format": "date-time"}),
    ]
    at_deadline: AtDeadlineName | None
    overdue: Annotated[bool, Field(description="The deadline has passed.")]
    connections: Annotated[
        int | None,
        Field(
            description="Established connections, and unexpired UDP ones; null: not counted yet."
        ),
    ]
    gone_in: Annotated[
        str | None,
        Field(
            description="Estimated time until no connections remain, from the last minute; null: "
            "their number is not falling.",
            examples=["42s"],
        ),
    ]
    warnings: Annotated[
        list[str], Field(description="Clients that still arrive, or are refused, and why.")
    ]


class LastProbe(TypedDict):
    """The last probe that counted."""

    passed: bool
    took_ms: float
    error: Annotated[str, Field(description="Why it failed; empty if it passed.")]
    code: ReasonCode


class CheckStatus(Explained):
    """State of one health check."""

    type: Annotated[str, Field(examples=["http"])]
    port: int | None
    through: Literal["tunnel", "direct"]
    health: HealthName
    since: Since
    frozen: Frozen
    frozen_code: ReasonCode
    last: Annotated[LastProbe | None, Field(description="null: none since this director started.")]


class HealthStatus(Explained):
    """Health of a server for one VIP, over all its checks."""

    vip: str
    health: HealthName
    since: Since
    checks: list[CheckStatus]


class RealServerStatus(Explained):
    """Status of a real server."""

    origin: Annotated[Origin, Field(description="Declared in the farm, or joined by its agent.")]
    state: Annotated[State, Field(description="The administrative state.")]
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    services: list[ServiceWeight]
    health: Annotated[list[HealthStatus], Field(description="For each VIP of its pool.")]
    drain: Annotated[DrainStatus | None, Field(description="null: not draining.")]
    agent: AgentContact | None


class ServiceAnswer(Service):
    """A service with its status."""

    status: ServiceStatus


class RealServerAnswer(RealServer):
    """A real server with its status."""

    status: RealServerStatus


class ListedServer(Explained):
    """A server of a pool, declared or joined."""

    name: str
    address: str
    origin: Origin
    state: State
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    health: Healthy


class PoolStatus(TypedDict):
    """The services that use a pool, and all of its servers."""

    services: list[str]
    tunnel: Annotated[str, Field(description="The pool's tunnel.", examples=["gue:6080"])]
    real_servers: list[ListedServer]


class PoolAnswer(Pool):
    """A pool with its status."""

    status: PoolStatus


class Services(TypedDict):
    """All services."""

    services: list[ServiceAnswer]


class Pools(TypedDict):
    """All pools."""

    pools: list[PoolAnswer]


class RealServers(TypedDict):
    """All servers of a pool."""

    real_servers: list[RealServerAnswer]
