"""Messages between director and agent, as values."""

import enum
from dataclasses import dataclass

from lvsctl.net import IPAddress, IPInterface


class Membership(enum.StrEnum):
    """Membership of an agent in its pools.

    JOINED serves. LEAVING gets no new connections: its destinations keep weight 0. LEFT has no
    destinations; its record remains so that a declared server does not return to the table.
    """

    JOINED = "joined"
    LEAVING = "leaving"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Registration:
    """Registration of an agent (``PUT /v1/agents/{agent}``).

    Attributes:
        address: The real server's address (RIP), where the director sends tunnelled packets.
        pools: Names of the pools to join.
        weight: Weight in pools that do not declare this address; 0 to 65535.
        membership: Requested membership.
    """

    address: IPAddress
    pools: tuple[str, ...]
    weight: int = 100
    membership: Membership = Membership.JOINED


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An encapsulation that the real server must accept.

    Attributes:
        type: ``ipip``, ``gre`` or ``gue``; a newer director may send others.
        port: UDP port of gue; 0 for the others.
        checksum: The outer header has a checksum.
    """

    type: str
    port: int = 0
    checksum: bool = False

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"{self.type}{port}{'+checksum' if self.checksum else ''}"


class TunnelMode(enum.StrEnum):
    """Mode of a point-to-point tunnel, as in ip-tunnel(8).

    IPIP carries IPv4 only; GRE carries IPv4 and IPv6; GRETAP carries Ethernet frames.
    """

    IPIP = "ipip"
    GRE = "gre"
    GRETAP = "gretap"


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """Configuration of one end of a point-to-point tunnel.

    Attributes:
        tunnel: Name of the tunnel.
        link: Name of its device on this host.
        mode: Mode of the tunnel.
        local: This host's underlay address.
        remote: The other host's underlay address.
        addresses: Addresses of this end inside the tunnel, with prefix lengths.
        peers: Addresses of the other end inside the tunnel; the first one is probed.
        device: Device that outer packets leave by; None leaves it to the route.
        key: Key of gre and gretap, in both directions; None for none.
        ttl: TTL of outer packets; None copies the inner packet's.
        mtu: MTU inside the tunnel, in bytes; None leaves it to the kernel.
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
    """Desired state of a real server's host (``GET /v1/agents/{agent}/assignment``).

    Attributes:
        farm_id: The farm. An assignment of another farm never removes anything.
        agent: The agent that it is for.
        vips: VIPs to accept tunnelled packets for, sorted.
        tunnels: Encapsulations to accept, sorted.
        mtu: Largest outer packet, in bytes, that the network from the director carries; None
            leaves it to the host's routes.
        tunnel_ends: Ends of point-to-point tunnels on this host, by name.
        epoch: Of the farm's state; 0 if the director sends none.
        revision: Of the farm's state. Within a farm the highest (epoch, revision) is current.
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
    """Whether a finding is still broken, or was repaired."""

    BROKEN = "broken"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something on a real server that differed from the desired state.

    Attributes:
        severity: Whether it still does.
        subject: As ip(8) or sysctl(8) names it.
        detail: Actual and desired state, and the cause.
        cure: What a person can do; empty if it was repaired.
        at: ISO 8601 in UTC.
        code: What it is, for programs (docs/reasons.md); empty from an older agent.
    """

    severity: Severity
    subject: str
    detail: str
    cure: str
    at: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class TunnelEndState:
    """State of one end of a point-to-point tunnel.

    Attributes:
        tunnel: Name of the tunnel.
        up: This end is configured as desired, and the other one answers.
        since: When it went up or down, ISO 8601 in UTC.
        reason: Why it is down; empty if it is up.
        mtu: Of its device, in bytes; None if there is no device.
        round_trip_us: Mean over the answered probes of the window, in microseconds; None without.
        sent: Probes in the window, one per second.
        lost: Unanswered probes in the window.
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
    """Observed state of an agent's host (``PUT /v1/agents/{agent}/report``).

    Attributes:
        farm_id: Of the assignment that it follows; empty before the first.
        ready: VIPs that are fully configured.
        tunnels: Encapsulations that are accepted.
        findings: Oldest first.
        tunnel_ends: States of the ends of point-to-point tunnels on this host.
    """

    farm_id: str
    ready: tuple[IPAddress, ...]
    tunnels: tuple[Tunnel, ...]
    findings: tuple[Finding, ...] = ()
    tunnel_ends: tuple[TunnelEndState, ...] = ()
