"""The IPVS table as the kernel has it: virtual services, destinations, and operations on them.

A key identifies an object, a configuration is what can be changed in place. Counters are separate
values, so that two tables are equal exactly when they forward alike.

Source: ``include/uapi/linux/ip_vs.h``.
"""

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lvsctl.net import Family, IPAddress, IpProtocol, family_of


class ServiceFlag(enum.IntFlag):
    """Flags of a virtual service (``IP_VS_SVC_F_*``) that can be set.

    PERSISTENT (0x1) is left out, as :class:`Persistence` implies it, and so is HASHED (0x2), which
    is internal to the kernel. SCHED1 to SCHED3 depend on the scheduler: for ``sh`` and ``mh``,
    SCHED1 is fallback and SCHED2 is port.
    """

    ONE_PACKET = 0x04
    SCHED1 = 0x08
    SCHED2 = 0x10
    SCHED3 = 0x20


class ForwardingMethod(enum.IntEnum):
    """How a packet reaches its destination (``IP_VS_CONN_F_FWD_MASK``)."""

    MASQUERADE = 0
    LOCAL = 1
    TUNNEL = 2
    DIRECT_ROUTE = 3
    BYPASS = 4


class TunnelType(enum.IntEnum):
    """The outer header of the tunnel forwarding method (``IP_VS_CONN_F_TUNNEL_TYPE_*``)."""

    IPIP = 0
    GUE = 1
    GRE = 2

    def __str__(self) -> str:
        return self.name.lower()


class TunnelFlag(enum.IntFlag):
    """Options of an encapsulation (``IP_VS_TUNNEL_ENCAP_FLAG_*``)."""

    CHECKSUM = 0x1
    REMOTE_CHECKSUM = 0x2


@dataclass(frozen=True, slots=True, order=True)
class Encapsulation:
    """The encapsulation of tunnelled packets.

    Attributes:
        type: The kind of outer header.
        port: UDP port of GUE; 0 for the others.
        flags: Checksum options of GUE and GRE.
    """

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    flags: TunnelFlag = TunnelFlag(0)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        flags = "".join(f"+{flag.name}".lower() for flag in self.flags)
        return f"{self.type}{port}{flags}"


@dataclass(frozen=True, slots=True)
class AddressKey:
    """A virtual service identified by protocol, VIP and port."""

    protocol: IpProtocol
    vip: IPAddress
    port: int

    @property
    def family(self) -> Family:
        """Family of the clients' packets."""
        return family_of(self.vip)

    @property
    def sort_key(self) -> tuple[int, int, int, int]:
        """Key for a total order of all services: by family, address, protocol, port."""
        return (self.family, int(self.vip), self.protocol, self.port)

    def __hash__(self) -> int:
        # ipaddress formats a hexadecimal string to hash, which is slow in large tables.
        return hash((int(self.vip), self.port))

    def __str__(self) -> str:
        return _address_key_text(self)


@functools.lru_cache(maxsize=1024)  # formatted for every destination of a service
def _address_key_text(key: AddressKey) -> str:
    host = f"[{key.vip}]" if key.family is Family.IPV6 else str(key.vip)
    return f"{key.protocol} {host}:{key.port}"


@dataclass(frozen=True, slots=True)
class FwmarkKey:
    """A virtual service identified by the firewall mark of its packets."""

    family: Family
    mark: int

    @property
    def sort_key(self) -> tuple[int, int, int, int]:
        """Key for a total order of all services: marks come before addresses of the same family."""
        return (self.family, -1, 0, self.mark)

    def __str__(self) -> str:
        return f"fwmark {self.mark}" + (" IPv6" if self.family is Family.IPV6 else "")


ServiceKey = AddressKey | FwmarkKey


@dataclass(frozen=True, slots=True)
class Persistence:
    """Clients from the same network go to the same destination.

    Attributes:
        timeout_s: Seconds after the last connection until persistence ends.
        prefix_length: Prefix length of the client network; 32 or 128 for single clients.
        engine: Name of a persistence engine (``sip``); empty to use the client's address.
    """

    timeout_s: int
    prefix_length: int
    engine: str = ""


@dataclass(frozen=True, slots=True)
class VirtualServiceConfig:
    """What can be changed in place about a virtual service."""

    scheduler: str
    flags: ServiceFlag = ServiceFlag(0)
    persistence: Persistence | None = None


@dataclass(frozen=True, slots=True)
class DestinationKey:
    """A destination within its service.

    Attributes:
        address: Address of the real server (RIP).
        port: Port at the real server. With the tunnel method packets keep the service's port
            whatever this says, so lvsctl sets it to the service's; 0 in firewall-mark services.
    """

    address: IPAddress
    port: int

    @property
    def sort_key(self) -> tuple[int, int, int]:
        """Key for a total order: by family, address, port."""
        return (family_of(self.address), int(self.address), self.port)

    def __hash__(self) -> int:
        # For the same reason as in AddressKey.
        return hash((int(self.address), self.port))

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)  # noqa: PLR2004
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class DestinationConfig:
    """What can be changed in place about a destination.

    Attributes:
        weight: 0 (no new connections) to 65535.
        forwarding: The forwarding method.
        encapsulation: The outer header; None unless the method is tunnel.
        upper_threshold: Number of connections above which it gets no new ones; 0 for no limit.
        lower_threshold: Number of connections below which it gets new ones again; 0 for three
            quarters of the upper threshold.
    """

    weight: int
    forwarding: ForwardingMethod = ForwardingMethod.TUNNEL
    encapsulation: Encapsulation | None = Encapsulation()
    upper_threshold: int = 0
    lower_threshold: int = 0


_NO_DESTINATIONS: Mapping[DestinationKey, DestinationConfig] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A virtual service with its destinations, in the order in which they are to be added."""

    config: VirtualServiceConfig
    destinations: Mapping[DestinationKey, DestinationConfig] = field(
        default_factory=lambda: _NO_DESTINATIONS
    )


IpvsTable = Mapping[ServiceKey, VirtualService]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Idle timeouts of connections in seconds, for the whole network namespace."""

    tcp_s: int
    tcp_fin_s: int
    udp_s: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Totals since creation, and the kernel's estimated rates."""

    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    connections_per_s: int = 0
    in_packets_per_s: int = 0
    out_packets_per_s: int = 0
    in_bytes_per_s: int = 0
    out_bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class DestinationCounters:
    """Traffic of one destination, and its current connections."""

    traffic: Traffic
    active_connections: int
    inactive_connections: int
    persistent_connections: int


@dataclass(frozen=True, slots=True)
class ServiceCounters:
    """Traffic of one virtual service and of each of its destinations."""

    traffic: Traffic
    destinations: Mapping[DestinationKey, DestinationCounters]


@dataclass(frozen=True, slots=True)
class AddService:
    """Add a virtual service without destinations; EEXIST if it exists."""

    key: ServiceKey
    config: VirtualServiceConfig

    def __str__(self) -> str:
        return f"add service {self.key} {self.config.scheduler}"


@dataclass(frozen=True, slots=True)
class EditService:
    """Change a virtual service in place; ESRCH if it does not exist."""

    key: ServiceKey
    config: VirtualServiceConfig

    def __str__(self) -> str:
        return f"edit service {self.key} {self.config.scheduler}"


@dataclass(frozen=True, slots=True)
class DeleteService:
    """Delete a virtual service with all its destinations."""

    key: ServiceKey

    def __str__(self) -> str:
        return f"delete service {self.key}"


@dataclass(frozen=True, slots=True)
class AddDestination:
    """Add a destination to a virtual service."""

    service: ServiceKey
    key: DestinationKey
    config: DestinationConfig

    def __str__(self) -> str:
        return f"add {self.key} weight {self.config.weight} to {self.service}"


@dataclass(frozen=True, slots=True)
class EditDestination:
    """Change a destination in place; its connections are kept."""

    service: ServiceKey
    key: DestinationKey
    config: DestinationConfig

    def __str__(self) -> str:
        return f"edit {self.key} weight {self.config.weight} of {self.service}"


@dataclass(frozen=True, slots=True)
class DeleteDestination:
    """Remove a destination from a virtual service."""

    service: ServiceKey
    key: DestinationKey

    def __str__(self) -> str:
        return f"delete {self.key} from {self.service}"


@dataclass(frozen=True, slots=True)
class SetTimeouts:
    """Set the idle timeouts of connections; 0 leaves one unchanged."""

    timeouts: Timeouts

    def __str__(self) -> str:
        values = self.timeouts
        return f"set timeouts tcp {values.tcp_s} s, fin {values.tcp_fin_s} s, udp {values.udp_s} s"


Operation = (
    AddService
    | EditService
    | DeleteService
    | AddDestination
    | EditDestination
    | DeleteDestination
    | SetTimeouts
)


def service_of(operation: Operation) -> ServiceKey | None:
    """Return the virtual service that an operation is about, None if it is namespace-wide."""
    match operation:
        case AddDestination() | EditDestination() | DeleteDestination():  # most, so they are first
            return operation.service
        case SetTimeouts():
            return None
        case _:
            return operation.key
