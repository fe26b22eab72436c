"""The farm as people write it: services, pools, real servers, directors, settings.

Values only; what a farm must keep to is in :mod:`lvsctl.farm.rules.farm`.
"""

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lvsctl.farm.checks import HealthCheck
from lvsctl.farm.policy import DEFAULT_HEALTH_POLICY, HealthPolicy
from lvsctl.farm.tunnels import Tunnel
from lvsctl.ipvs.table import Encapsulation, Persistence, TunnelFlag, TunnelType
from lvsctl.net import IPAddress, IpProtocol

DEFAULT_SCHEDULER = "wlc"
"""ipvsadm's default as well."""

DEFAULT_FLAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"mh": ("mh-fallback", "mh-port"), "sh": ("sh-fallback",)}
)
"""Flags of a scheduler whose service names none. Without fallback both refuse the clients that
hash to a server with weight 0."""

GUE_PORT = 6080
"""UDP port of GUE where none is named: IANA's (draft-ietf-intarea-gue, 8.1)."""


@dataclass(frozen=True, slots=True)
class Service:
    """A VIP with its ports, or a firewall mark, in front of a pool.

    Attributes:
        name: Unique among the services.
        vip: The virtual address that clients use.
        pool: Name of the pool that answers.
        protocol: Transport; None with a firewall mark.
        ports: One virtual service for each; empty with a firewall mark.
        fwmark: The operator's firewall gives packets for the VIP this mark; None for ports.
        scheduler: As ipvsadm names it.
        flags: Scheduler flags as ipvsadm names them, ``ops`` for one-packet scheduling of UDP;
            None for the scheduler's default.
        persistence: Clients stay with one server, on each port by itself.
        sorry_server: Address of a server that serves over the pool's tunnel while none of the
            pool's is healthy; None for none.
    """

    name: str
    vip: IPAddress
    pool: str
    protocol: IpProtocol | None = IpProtocol.TCP
    ports: tuple[int, ...] = ()
    fwmark: int | None = None
    scheduler: str = DEFAULT_SCHEDULER
    flags: frozenset[str] | None = None
    persistence: Persistence | None = None
    sorry_server: IPAddress | None = None

    @property
    def effective_flags(self) -> frozenset[str]:
        """The flags as asked for, else the scheduler's default.

        A persistent service hashes clients, never their ports: with ``mh-port`` one client's
        connections would have several servers to be persistent to.
        """
        if self.flags is not None:
            return self.flags
        default = frozenset(DEFAULT_FLAGS.get(self.scheduler, ()))
        return default - {"mh-port"} if self.persistence else default


@dataclass(frozen=True, slots=True)
class PoolTunnel:
    """How packets reach the servers of a pool, or one of them.

    Attributes:
        type: The kind of the outer header.
        port: UDP port of gue; 0 for the others.
        checksum: The outer header of gre or gue carries one.
        mtu: Largest outer packet, in bytes, that the network lets through; None where the routes
            of the hosts say it.
    """

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    checksum: bool = False
    mtu: int | None = None

    @property
    def encapsulation(self) -> Encapsulation:
        """What the director's kernel wraps packets in."""
        return _encapsulation(self.type, self.port, self.checksum)


@functools.lru_cache(maxsize=1024)  # pools share them, so that what follows is shared as well
def _encapsulation(kind: TunnelType, port: int, checksum: bool) -> Encapsulation:  # noqa: FBT001
    return Encapsulation(kind, port, TunnelFlag.CHECKSUM if checksum else TunnelFlag(0))


@dataclass(frozen=True, slots=True)
class RealServer:
    """A declared server of a pool.

    Attributes:
        name: Unique in the pool.
        address: Where tunnelled packets are sent (RIP); unique in the pool.
        weight: 0 (no new connections) to 65535.
        upper_threshold: No new connections above this many; 0 for no limit.
        lower_threshold: New connections again below this many; 0 for three quarters of the upper.
        tunnel: Replaces the pool's as a whole; None for the pool's.
    """

    name: str
    address: IPAddress
    weight: int = 100
    upper_threshold: int = 0
    lower_threshold: int = 0
    tunnel: PoolTunnel | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Servers that can stand in for each other, and the tunnel to them.

    Attributes:
        name: Unique among the pools.
        tunnel: How packets reach the servers.
        real_servers: The declared ones.
        health_checks: A server is healthy when it passes all of them.
        health_policy: What follows from its servers' health.
    """

    name: str
    tunnel: PoolTunnel = PoolTunnel()
    real_servers: tuple[RealServer, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    health_policy: HealthPolicy = DEFAULT_HEALTH_POLICY


@dataclass(frozen=True, slots=True)
class Director:
    """A director of this farm: who it is and where it can be reached (DIPs)."""

    name: str
    addresses: tuple[IPAddress, ...]


class VipOwner(enum.StrEnum):
    """Who puts the VIPs on the director: lvsctl, or keepalived or a routing daemon."""

    MANAGE = "manage"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class MarkRange:
    """Firewall marks from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, mark: int) -> bool:
        return self.first <= mark <= self.last

    def __str__(self) -> str:
        return f"{self.first:#x}-{self.last:#x}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


DEFAULT_SYSCTLS: Mapping[str, int] = MappingProxyType(
    {
        "expire_nodest_conn": 1,
        "expire_quiescent_template": 1,
        "conn_reuse_mode": 1,
        "pmtu_disc": 1,
        "schedule_icmp": 1,
        "sloppy_tcp": 0,
    }
)
"""What lvsctl sets below net.ipv4.vs where the farm does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole farm.

    Attributes:
        tcp_timeout_s: Idle time of established TCP connections; None leaves the kernel's.
        tcp_fin_timeout_s: Idle time of closing TCP connections; None leaves the kernel's.
        udp_timeout_s: Idle time of UDP; None leaves the kernel's.
        sysctls: Names below net.ipv4.vs with values that replace :data:`DEFAULT_SYSCTLS`.
        vips: Who puts the VIPs on the director.
        probe_marks: Marks that lvsctl keeps for health checks; no service may use one.
        probe_ports: Source ports that the director keeps for health checks through the tunnel.
    """

    tcp_timeout_s: int | None = None
    tcp_fin_timeout_s: int | None = None
    udp_timeout_s: int | None = None
    sysctls: Mapping[str, int] = field(default_factory=dict)
    vips: VipOwner = VipOwner.MANAGE
    probe_marks: MarkRange = MarkRange(0x4C560000, 0x4C56FFFF)
    probe_ports: PortRange = PortRange(61000, 64999)

    @property
    def effective_sysctls(self) -> Mapping[str, int]:
        """Every parameter below net.ipv4.vs that lvsctl keeps, with its value."""
        return {**DEFAULT_SYSCTLS, **self.sysctls}


@dataclass(frozen=True, slots=True)
class Farm:
    """Everything that people declare; the mappings are by name, in the order of the file."""

    services: Mapping[str, Service] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    directors: Mapping[str, Director] = field(default_factory=dict)
    settings: Settings = Settings()
    tunnels: Mapping[str, Tunnel] = field(default_factory=dict)
