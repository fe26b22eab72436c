"""What doctor sees before it judges: frozen values, gathered once. Pure."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lvsctl.agent.desired_host import ServingSpec
from lvsctl.doctor.firewall import Table
from lvsctl.host.interface import AddressKey, HostState, SysctlConfig, SysctlKey
from lvsctl.ipvs.table import AddressKey as ServiceAddress
from lvsctl.ipvs.table import Encapsulation, ForwardingMethod, IpvsTable
from lvsctl.messages.model import Tunnel
from lvsctl.net import IPAddress, family_of


class Role(enum.StrEnum):
    """What a host is in a farm; it may be both."""

    REAL_SERVER = "real-server"
    DIRECTOR = "director"


@dataclass(frozen=True, slots=True)
class RealServer:
    """What a real server is to be.

    Attributes:
        task: What it is to serve.
        directors: Addresses of its directors, as far as they are known.
        path_mtu: Largest outer packet that the pool says the network lets through; None where it
            says nothing.
        agent_runs: Whether its agent does; None for a server without one.
    """

    task: ServingSpec
    directors: tuple[IPAddress, ...] = ()
    path_mtu: int | None = None
    agent_runs: bool | None = None


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """One tunnel through which one VIP is reached.

    Attributes:
        vip: The VIP.
        rip: The real server's address.
        encapsulation: The outer header.
    """

    vip: IPAddress
    rip: IPAddress
    encapsulation: Encapsulation

    def __str__(self) -> str:
        return f"{self.vip} at {self.rip} over {self.encapsulation}"


@dataclass(frozen=True, slots=True)
class Director:
    """What a director forwards.

    Attributes:
        table: The kernel's IPVS table.
        daemon_runs: Whether lvsctl's daemon does; None where this host never had one.
        api: What is wrong with the daemon's API; empty for nothing, None where it was not asked.
        path_mtus: Largest outer packet, by real server, where its pool says one; 0 for those
            whose pool says none. Empty where the API did not tell.
    """

    table: IpvsTable
    daemon_runs: bool | None = None
    api: str | None = None
    path_mtus: Mapping[IPAddress, int] = field(default_factory=dict)

    @property
    def ways(self) -> Sequence[Way]:
        """Every tunnel that new connections take, sorted; not those of firewall marks."""
        return sorted(
            {
                Way(key.vip, destination.address, config.encapsulation)
                for key, service in self.table.items()
                if isinstance(key, ServiceAddress)
                for destination, config in service.destinations.items()
                if config.encapsulation is not None and config.weight > 0
            },
            key=lambda way: (
                family_of(way.vip),
                int(way.vip),
                family_of(way.rip),
                int(way.rip),
                way.encapsulation,
            ),
        )

    @property
    def vips(self) -> Sequence[IPAddress]:
        """The VIPs of services that are tunnelled, sorted."""
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
        release: Of the running kernel.
        loaded: Those that are loaded or built in.
        installed: Those on the disk; None where there is no list for this kernel.
    """

    release: str
    loaded: frozenset[str]
    installed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of a sysctl.d file.

    Attributes:
        file: Where it is.
        pattern: The parameter's parts; one may hold a ``*``.
        value: What it is set to; None for an exception from patterns (``-net.ipv4…``).
    """

    file: str
    pattern: tuple[str, ...]
    value: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where the kernel would send a packet.

    Attributes:
        link: The device.
        source: The source that it would choose.
        gateway: The next hop, None for on-link.
        mtu: Bytes that the device takes.
    """

    link: str
    source: IPAddress | None
    gateway: IPAddress | None
    mtu: int


@dataclass(frozen=True, slots=True)
class NoRoute:
    """The kernel would not send it.

    Attributes:
        reason: Its words.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Journey:
    """The ends of a packet.

    Attributes:
        destination: Where to.
        source: From which address; None for what the kernel chooses.
    """

    destination: IPAddress
    source: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ICMP error that answered a probe.

    Attributes:
        sender: Who sent it.
        what: What it says.
        mtu: Bytes that would pass, where it says so; else 0.
    """

    sender: IPAddress
    what: str
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of probes with the don't-fragment flag on one way.

    Attributes:
        answered: A small one came through, and its answer back.
        refusals: ICMP errors to the small one.
        asked: Bytes of the largest outer packet that was tried; 0 where none was.
        passed: Bytes of the largest that was answered.
        too_big: ICMP errors that said a probe was too big.
    """

    answered: bool
    refusals: tuple[Refusal, ...] = ()
    asked: int = 0
    passed: int = 0
    too_big: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    """The kernel's counters at one time, by their names, such as ``TcpExt IPReversePathFilter``."""

    values: Mapping[str, int]
    devices: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A kind of packet for a VIP that arrived in a tunnel.

    Attributes:
        tunnel: What it was wrapped in; checksum only says that a GRE header had one.
        sender: Who wrapped it.
        outer: Its outer destination.
        vip: Its inner destination.
    """

    tunnel: Tunnel
    sender: IPAddress
    outer: IPAddress
    vip: IPAddress


_NO_COUNTERS = Counters({}, {})


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was seen on one host.

    Attributes:
        host: Its name.
        real_server: What it is to be as a real server; None where it is none.
        director: What it forwards; None where it is none.
        modules: Kernel modules.
        state: Devices, sysctls, fou ports, rules and routes that were looked at.
        links: Names of all devices.
        addresses: All addresses.
        settings: What sysctl.d sets, in the order in which it is applied.
        tables: The packet filter's.
        routes: Where packets would go.
        probed: What became of probes through tunnels, and of plain ones to directors.
        owners: Who else answers for a VIP.
        before: Counters before the look.
        after: Counters about a second later.
        arrivals: Tunnelled packets that arrived meanwhile.
        clients: Clients that were named.
        not_looked: What could not be looked at, and why.
    """

    host: str
    modules: Modules
    real_server: RealServer | None = None
    director: Director | None = None
    state: HostState = field(default_factory=dict)
    links: tuple[str, ...] = ()
    addresses: tuple[AddressKey, ...] = ()
    settings: tuple[Setting, ...] = ()
    tables: tuple[Table, ...] = ()
    routes: Mapping[Journey, Route | NoRoute] = field(default_factory=dict)
    probed: Mapping[Way | IPAddress, Probed] = field(default_factory=dict)
    owners: Mapping[IPAddress, str] = field(default_factory=dict)
    before: Counters = _NO_COUNTERS
    after: Counters = _NO_COUNTERS
    arrivals: frozenset[Arrival] = frozenset()
    clients: tuple[IPAddress, ...] = ()
    not_looked: tuple[str, ...] = ()

    def sysctl(self, *path: str) -> int | None:
        """Return a numeric parameter, None where it is not there."""
        config = self.state.get(SysctlKey(path))
        return int(config.value) if isinstance(config, SysctlConfig) else None

    @property
    def roles(self) -> tuple[Role, ...]:
        """What this host is."""
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
        """How far each counter rose while doctor looked."""
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
