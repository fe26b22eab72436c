"""What director and agent tell each other, as values; both sides import these and nothing more."""

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address


class Membership(enum.StrEnum):
    """Where an agent stands in its pools.

    JOINED takes part. LEAVING gets no new connections: its destinations stay with weight 0.
    LEFT has no destinations; its record remains so that a declared server does not return to the
    table by itself.
    """

    JOINED = "joined"
    LEAVING = "leaving"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says of itself when it joins (``PUT /v1/agents/{agent}``).

    Attributes:
        address: The real server's address (RIP), where the director sends tunnelled packets.
        pools: Names of the pools to join.
        weight: Weight in pools that do not declare this address; 0 to 65535.
        membership: Where it stands or wants to go.
    """

    address: IPAddress
    pools: tuple[str, ...]
    weight: int = 100
    membership: Membership = Membership.JOINED


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An encapsulation that the real server must accept: ``ipip`` for now."""

    type: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a real server's host should be (``GET /v1/agents/{agent}/assignment``).

    Attributes:
        farm_id: Which farm says so. An assignment of another farm never removes anything.
        agent: For whom.
        vips: Addresses that the host takes tunnelled packets for, sorted.
        tunnels: Encapsulations that it accepts, sorted.
    """

    farm_id: str
    agent: str
    vips: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]


class Severity(enum.StrEnum):
    """How a finding bears on service: it is broken now, or was found and mended."""

    BROKEN = "broken"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing on a real server that was not as it should be.

    Attributes:
        severity: Whether it still is so.
        subject: The thing, as ip(8) or sysctl(8) names it.
        detail: What was found, what it should be, and its cause.
        cure: What a person can do; empty where it was mended.
        at: When, ISO 8601 in UTC.
    """

    severity: Severity
    subject: str
    detail: str
    cure: str
    at: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent sees on its host (``PUT /v1/agents/{agent}/report``).

    Attributes:
        farm_id: Of the assignment that it follows; empty before the first.
        ready: VIPs that are up with everything they need.
        tunnels: Encapsulations that are accepted.
        findings: What was or is wrong, oldest first.
    """

    farm_id: str
    ready: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    findings: tuple[Finding, ...] = ()
