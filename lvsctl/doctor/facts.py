"""Everything that doctor's checks are based on: frozen values, gathered once. Pure."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lvsctl.agent.devices import ServingSpec
from lvsctl.doctor.firewall import Table
from lvsctl.host.interface import AddressKey, HostState, SysctlConfig, SysctlKey
from lvsctl.ipvs.table import AddressKey as ServiceAddress
from lvsctl.ipvs.table import Encapsulation, ForwardingMethod, IpvsTable
from lvsctl.messages.model import Tunnel
from lvsctl.net import IPAddress, family_of


class Role(enum.StrEnum):
    """What a host is in a farm; one host may be both."""

    REAL_SERVER = "real-server"
    DIRECTOR = "director"


@dataclass(frozen=True, slots=True)
class RealServer:
    """What this host should be as a real server.

    Attributes:
        spec: What it should serve.
        directors: Known addresses of its directors.
        path_mtu: Largest outer packet that the network carries, according to the pool; None if the
            pool sets none.
        agent_runs: Whether its agent is running; None for a server without one.
    """

    spec: ServingSpec
    directors: tuple[IPAddress, ...] = ()
    path_mtu: int | None = None
    agent_runs: bool | None = None


@dataclass(frozen=True, slots=True, order=True)
class TunnelPath:
    """A tunnel from the director to a real server, for one VIP.

    Attributes:
        vip: Inner destination.
        rip: Outer destination, the real server's address.
        encapsulation: The outer header.
    """

    vip: IPAddress
    rip: IPAddress
    encapsulation: Encapsulation

    def __str__(self) -> str:
        return f"{self.vip} at {self.rip} over {self.encapsulation}"


@dataclass(frozen=True, slots=True)
class Director:
    """What this host does as a director.

    Attributes:
        table: The kernel's IPVS table.
        daemon_runs: Whether lvsctl's daemon is running; None if it never ran on this host.
        api: What is wrong with the daemon's API; empty if nothing is, None if it was not asked.
        path_mtus: Largest outer packet by real server; 0 if its pool sets none. Empty if the API
            did not answer.
    """

    table: IpvsTable
    daemon_runs: bool | None = None
    api: str | None = None
    path_mtus: Mapping[IPAddress, int] = field(default_factory=dict)

    @property
    def tunnel_paths(self) -> Sequence[TunnelPath]:
        """Every tunnel that new connections may take, sorted; without firewall-mark services."""
        return sorted(
            {
                TunnelPath(key.vip, destination.address, config.encapsulation)
                for key, service in self.table.items()
                if isinstance(key, ServiceAddress)
                for destination, config in service.destinations.items()
                if config.encapsulation is not None and config.weight > 0
            },
            key=lambda tunnel_path: (
                family_of(tunnel_path.vip),
                int(tunnel_path.vip),
                family_of(tunnel_path.rip),
                int(tunnel_path.rip),
                tunnel_path.encapsulation,
            ),
        )

    @property
    def vips(self) -> Sequence[IPAddress]:
        """VIPs of services with tunnelled destinations, sorted."""
        vips = {
            key.vip
            for key, service in self.table.items()
            if isinstance(key, ServiceAddress)
            and any(
                config.forwarding is ForwardingMethod.TUNNEL
                for config in service.destinations.values()
            )
        }
        return sorted(vips, key=lambda vip: (family_of(vip), int(vip)))


@dataclass(frozen=True, slots=True)
class Modules:
    """Kernel modules.

    Attributes:
        release: Release of the running kernel.
        loaded: Modules that are loaded or built in.
        installed: Modules on disk; None if there is no modules.dep for this kernel.
    """

    release: str
    loaded: frozenset[str]
    installed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SysctlSetting:
    """A line of a sysctl.d file.

    Attributes:
        file: The file's path.
        pattern: The components of the parameter's name; each may contain ``*``.
        value: What it is set to; None for an exclusion from globs (``-net.ipv4…``).
    """

    file: str
    pattern: tuple[str, ...]
    value: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where the kernel would send a packet.

    Attributes:
        link: The outgoing device.
        source: The source address that the kernel would choose.
        gateway: The next hop; None if the destination is on-link.
        mtu: The device's MTU.
    """

    link: str
    source: IPAddress | None
    gateway: IPAddress | None
    mtu: int


@dataclass(frozen=True, slots=True)
class NoRoute:
    """The kernel has no route.

    Attributes:
        reason: The kernel's error, as strerror(3) words it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """A route lookup (``ip route get``).

    Attributes:
        destination: The destination address.
        source: The source address; None to let the kernel choose.
    """

    destination: IPAddress
    source: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error in reply to a probe.

    Attributes:
        sender: The router or host that sent it.
        what: Type and code, in words.
        mtu: The next hop's MTU in a "too big" error; else 0.
    """

    sender: IPAddress
    what: str
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of probes with the don't-fragment flag over one path.

    Attributes:
        answered: Whether a small probe was answered.
        icmp_errors: ICMP errors in reply to the small probe.
        asked: Size in bytes of the largest outer packet tried; 0 if sizes were not tried.
        passed: Size in bytes of the largest outer packet that was answered.
        too_big: "Too big" errors in reply to any probe.
    """

    answered: bool
    icmp_errors: tuple[IcmpError, ...] = ()
    asked: int = 0
    passed: int = 0
    too_big: tuple[IcmpError, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    """The kernel's counters at one time.

    Attributes:
        values: By group and name, such as ``TcpExt IPReversePathFilter``.
        devices: By device and :data:`lvsctl.doctor.counters.DEVICE_COLUMNS`.
    """

    values: Mapping[str, int]
    devices: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A kind of tunnelled packet for a VIP that arrived.

    Attributes:
        tunnel: The encapsulation; ``checksum`` is true only for GRE with a checksum.
        sender: Outer source.
        outer: Outer destination.
        vip: Inner destination.
    """

    tunnel: Tunnel
    sender: IPAddress
    outer: IPAddress
    vip: IPAddress


_NO_COUNTERS = Counters({}, {})


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was gathered on one host.

    Attributes:
        host: Host name.
        real_server: The host as a real server; None if it is not one.
        director: The host as a director; None if it is not one.
        modules: Kernel modules.
        state: The devices, sysctls and fou ports that the checks need.
        links: Names of all devices.
        addresses: All addresses.
        settings: Lines of sysctl.d files, in the order in which they are applied.
        tables: Tables of the packet filters.
        routes: Results of route lookups.
        probed: Outcome of probes through tunnels, and of plain probes to directors.
        owners: Link-layer address of another host that answers for a VIP.
        before: Counters at the start.
        after: Counters about a second later.
        arrivals: Tunnelled packets that arrived in between.
        clients: Client addresses given with ``--client``.
        not_looked: What could not be checked, and why.
    """

    host: str
    modules: Modules
    real_server: RealServer | None = None
    director: Director | None = None
    state: HostState = field(default_factory=dict)
    links: tuple[str, ...] = ()
    addresses: tuple[AddressKey, ...] = ()
    settings: tuple[SysctlSetting, ...] = ()
    tables: tuple[Table, ...] = ()
    routes: Mapping[RouteQuery, Route | NoRoute] = field(default_factory=dict)
    probed: Mapping[TunnelPath | IPAddress, ProbeResult] = field(default_factory=dict)
    owners: Mapping[IPAddress, str] = field(default_factory=dict)
    before: Counters = _NO_COUNTERS
    after: Counters = _NO_COUNTERS
    arrivals: frozenset[Arrival] = frozenset()
    clients: tuple[IPAddress, ...] = ()
    not_looked: tuple[str, ...] = ()

    def sysctl(self, *path: str) -> int | None:
        """Return the value of a numeric parameter, None if it does not exist."""
        config = self.state.get(SysctlKey(path))
        return int(config.value) if isinstance(config, SysctlConfig) else None

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that were found."""
        return tuple(
            role
            for role, there in (
                (Role.REAL_SERVER, self.real_server),
                (Role.DIRECTOR, self.director),
            )
            if there is not None
        )

    @property
    def rise(self) -> Counters:
        """By how much each counter rose between ``before`` and ``after``."""
        return Counters(
            {
                name: value - self.before.values.get(name, value)
                for name, value in self.after.values.items()
            },
            {
                device: {
                    name: value - self.before.devices.get(device, {}).get(name, value)
                    for name, value in counts.items()
                }
                for device, counts in self.after.devices.items()
            },
        )
