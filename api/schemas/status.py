"""What is known at run time, shown beside what is declared; nobody can write it."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.override import AtDeadlineName, State
from api.schemas.pool import Pool, RealServer
from api.schemas.service import Service

KeyStateName = Literal["applied", "pending", "conflict", "held"]
Origin = Literal["declared", "agent"]
MembershipName = Literal["joined", "leaving", "left"]

ServerWeight = Annotated[
    int | None, Field(description="Its weight in the table; null: it is not in the table.")
]
TunnelInUse = Annotated[
    str | None,
    Field(
        description="What packets to it are wrapped in; null: it is not in the table.",
        examples=["ipip", "gre+checksum", "gue:6080"],
    ),
]
Pending = Annotated[
    bool,
    Field(description="It waits for its agent to report the wanted tunnel ready, as reason says."),
]
Why = Annotated[str, Field(description="Why it is so; empty where all is as declared.")]
HealthName = Literal["up", "down", "unknown"]
Healthy = Annotated[
    HealthName | None,
    Field(
        description="What its health checks say; unknown: none has passed or failed yet; null: "
        "its pool has none."
    ),
]
Since = Annotated[
    str | None,
    Field(
        description="null: it was so before checking began.",
        json_schema_extra={"format": "date-time"},
    ),
]
Frozen = Annotated[
    str | None,
    Field(description="Why probes count for nothing now, so that nothing changes; null: they do."),
]


class KeyStatus(TypedDict):
    """How one virtual service stands in this director's kernel."""

    key: Annotated[str, Field(examples=["tcp 198.51.100.10:80"])]
    state: KeyStateName
    reason: Why


class DestinationStatus(TypedDict):
    """How a real server takes part in a service."""

    server: str
    address: str
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    health: Healthy
    reason: Why


class ServiceHealth(TypedDict):
    """What the health of its pool comes to for a service."""

    healthy: Annotated[int, Field(description="Servers that are healthy and take new connections.")]
    panic: Annotated[
        str, Field(description="Why servers serve that are not healthy; empty: none does.")
    ]
    sorry: Annotated[bool, Field(description="The sorry server takes the new connections.")]
    lost_quorum: Annotated[
        str, Field(description="Why its quorum is lost; empty: it has it, or wants none.")
    ]
    withdrawn: Annotated[bool, Field(description="Its VIP is kept off this director for that.")]


class ServiceStatus(TypedDict):
    """How a service stands in this director's kernel."""

    state: Annotated[KeyStateName, Field(description="That of its worst key.")]
    reason: Why
    keys: list[KeyStatus]
    health: Annotated[ServiceHealth | None, Field(description="null: no cycle has seen it yet.")]
    destinations: list[DestinationStatus]


class AgentContact(TypedDict):
    """The agent of a real server."""

    name: str
    membership: MembershipName
    age: Annotated[
        str | None,
        Field(description="Since its last report; null: none since this director started."),
    ]


class ServiceWeight(TypedDict):
    """What a real server's part in one service is."""

    service: str
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    reason: Why


class DrainStatus(TypedDict):
    """How far a drain has come."""

    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    deadline: Annotated[
        str | None,
        Field(description="null: it waits for ever.", json_schema_extra={"format": "date-time"}),
    ]
    at_deadline: AtDeadlineName | None
    overdue: Annotated[bool, Field(description="The deadline is over.")]
    connections: Annotated[
        int | None,
        Field(
            description="Established ones, with UDP those that have not expired; null: not counted "
            "yet."
        ),
    ]
    gone_in: Annotated[
        str | None,
        Field(
            description="When none is left if it goes on as in the last minute; null where they "
            "do not get fewer.",
            examples=["42s"],
        ),
    ]
    warnings: Annotated[list[str], Field(description="Which clients fare otherwise.")]


class LastProbe(TypedDict):
    """How the last probe ended that counted."""

    passed: bool
    took_ms: float
    error: Annotated[str, Field(description="What was wrong; empty where it passed.")]


class CheckStatus(TypedDict):
    """What one health check says."""

    type: Annotated[str, Field(examples=["http"])]
    port: int | None
    through: Literal["tunnel", "direct"]
    health: HealthName
    since: Since
    reason: Why
    frozen: Frozen
    last: Annotated[LastProbe | None, Field(description="null: none since this director started.")]


class HealthStatus(TypedDict):
    """What all health checks of a server say for one VIP."""

    vip: str
    health: HealthName
    since: Since
    reason: Why
    checks: list[CheckStatus]


class RealServerStatus(TypedDict):
    """How a real server stands."""

    origin: Annotated[Origin, Field(description="Declared in the farm, or joined by its agent.")]
    state: Annotated[State, Field(description="The administrative state.")]
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    reason: Why
    services: list[ServiceWeight]
    health: Annotated[list[HealthStatus], Field(description="For each VIP of its pool.")]
    drain: Annotated[DrainStatus | None, Field(description="null: it is not drained.")]
    agent: AgentContact | None


class ServiceAnswer(Service):
    """A service with its status."""

    status: ServiceStatus


class RealServerAnswer(RealServer):
    """A real server with its status."""

    status: RealServerStatus


class ListedServer(TypedDict):
    """A server of a pool, declared or joined."""

    name: str
    address: str
    origin: Origin
    state: State
    weight: ServerWeight
    tunnel: TunnelInUse
    pending: Pending
    health: Healthy
    reason: Why


class PoolStatus(TypedDict):
    """Who uses a pool, and all its servers."""

    services: list[str]
    tunnel: Annotated[str, Field(description="The pool's, in short.", examples=["gue:6080"])]
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
