"""What director and agent tell each other, as values; both sides import these and nothing more."""

import enum
from dataclasses import dataclass

from lvsctl.net import IPAddress, IPInterface


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
    """An encapsulation that the real server must accept.

    Attributes:
        type: ``ipip``, ``gre`` or ``gue``; a newer director may know more.
        port: UDP port of gue; 0 for the others.
        checksum: Whether the outer header carries one.
    """

    type: str
    port: int = 0
    checksum: bool = False

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"{self.type}{port}{'+checksum' if self.checksum else ''}"


class TunnelMode(enum.StrEnum):
    """What the packets of a point-to-point tunnel are wrapped in, as ip-tunnel(8) names it.

    IPIP carries IPv4 alone; GRE carries IPv4 and IPv6; GRETAP carries Ethernet frames.
    """

    IPIP = "ipip"
    GRE = "gre"
    GRETAP = "gretap"


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """What one host needs for a point-to-point tunnel.

    Attributes:
        tunnel: Name of the tunnel.
        link: Name of its device on this host.
        mode: What the packets are wrapped in.
        local: This host's address, from which the packets come.
        remote: The other host's, to which they go.
        addresses: This end's inside the tunnel, with prefix lengths.
        peers: The other end's inside the tunnel; the first one is probed.
        device: Device by which the packets leave; None for the route's.
        key: Of gre and gretap, both ways; None without.
        ttl: Of the outer packets; None copies the inner packet's.
        mtu: Bytes inside; None for the kernel's.
    """

    tunnel: str
    link: str
    mode: TunnelMode
    local: IPAddress
    remote: IPAddress
    addresses: tuple[IPInterface, ...]
    peers: tuple[IPAddress, ...] = ()
    device: str | None = None
    key: int | None = None
    ttl: int | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a real server's host should be (``GET /v1/agents/{agent}/assignment``).

    Attributes:
        farm_id: Which farm says so. An assignment of another farm never removes anything.
        agent: For whom.
        vips: Addresses that the host takes tunnelled packets for, sorted.
        tunnels: Encapsulations that it accepts, sorted.
        mtu: Largest outer packet, in bytes, that the network from the director lets through; None
            where the host's own routes say it.
        tunnel_ends: Ends of point-to-point tunnels on this host, by name.
        epoch: Of the farm's state that says so; 0 where the director tells none.
        revision: Of that state. Within a farm the higher (epoch, revision) is the later word.
    """

    farm_id: str
    agent: str
    vips: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    mtu: int | None = None
    tunnel_ends: tuple[TunnelEnd, ...] = ()
    epoch: int = 0
    revision: int = 0


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
class TunnelEndState:
    """How one end of a point-to-point tunnel is.

    Attributes:
        tunnel: Name of the tunnel.
        up: The end is as it should be, and the other one answers.
        since: When it came to be up or down, ISO 8601 in UTC.
        reason: Why it is down; empty where it is up.
        mtu: Bytes inside; None where there is no device.
        round_trip_us: Mean of the answered probes in the window, in microseconds; None without.
        sent: Probes in the window: the last seconds, one in each.
        lost: Those of them that were not answered.
    """

    tunnel: str
    up: bool
    since: str
    reason: str = ""
    mtu: int | None = None
    round_trip_us: int | None = None
    sent: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent sees on its host (``PUT /v1/agents/{agent}/report``).

    Attributes:
        farm_id: Of the assignment that it follows; empty before the first.
        ready: VIPs that are up with everything they need.
        tunnels: Encapsulations that are accepted.
        findings: What was or is wrong, oldest first.
        tunnel_ends: How the ends of point-to-point tunnels on this host are.
    """

    farm_id: str
    ready: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    findings: tuple[Finding, ...] = ()
    tunnel_ends: tuple[TunnelEndState, ...] = ()
