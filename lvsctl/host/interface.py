"""A host's network configuration as keys and configurations, and what every backend does.

Each thing that lvsctl may set on a host is a key (which one) and a configuration (what it is).
``None`` stands for absent, so "as found", "wanted" and "observed" are all mappings of one type,
and setting up, keeping and leaving are one comparison in three directions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lvsctl.net import Family, IPAddress, IPInterface, IPNetwork
from lvsctl.results import Result

MAIN_TABLE = 254
"""The routing table of routes that name none."""


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A network device by name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """A network device.

    Attributes:
        kind: What rtnetlink calls it (``dummy``, ``ipip``, ``gre``, …), empty for hardware and
            loopback. The kernel's own fallback devices (tunl0, gre0) have their kind too.
        up: Administrative state.
        mtu: Bytes; None where it does not matter. Never None when observed.
        local: Underlay address of this end of a tunnel; None for any and for other kinds.
        remote: Underlay address of the other end; None for any and for other kinds.
        underlay: Device that a tunnel's packets leave by; None for the route's.
        key: Key of a gre, gretap or ip6gre tunnel, both ways; None without.
        checksum: Arriving GRE headers must carry a checksum; those of a device made here do.
        ttl: Of the outer header; None copies the inner one's. Only tunnels have one.
        any_protocol: An ip6tnl tunnel also carries IPv4 (``mode any``).
    """

    kind: str
    up: bool
    mtu: int | None = None
    local: IPAddress | None = None
    remote: IPAddress | None = None
    underlay: str | None = None
    key: int | None = None
    checksum: bool = False
    ttl: int | None = None
    any_protocol: bool = False


@dataclass(frozen=True, slots=True)
class AddressKey:
    """An address with its prefix length on a device."""

    link: str
    address: IPInterface

    def __str__(self) -> str:
        return f"{self.address} on {self.link}"


@dataclass(frozen=True, slots=True)
class AddressConfig:
    """Options of an address.

    Attributes:
        nodad: IPv6 duplicate address detection is off.
        deprecated: It is never chosen as a source (``preferred_lft 0``).
    """

    nodad: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class RouteKey:
    """A route by destination within a table."""

    table: int
    destination: IPNetwork
    metric: int = 0

    def __str__(self) -> str:
        return f"route {self.destination} in table {self.table}"


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Where a route leads; ``local`` is its type for addresses of the host itself.

    Attributes:
        link: Output device; None for blackhole and similar types.
        gateway: Next hop; None for on-link.
        source: Preferred source address.
        advmss: Largest segment that TCP announces, bytes; None for the route's own.
        mtu: Bytes; None for the device's.
        type: Linux's route type: unicast, local, throw, …
        scope: Linux's route scope number: 0 universe, 253 link, 254 host.
        onlink: The gateway is on the device's link although no route says so.
        whole: False where there is more to a route than is told here (several next hops, an
            encapsulation, a gateway of the other family, a type of service). Such a route can be
            seen and removed, not set.
    """

    link: str | None
    gateway: IPAddress | None = None
    source: IPAddress | None = None
    advmss: int | None = None
    mtu: int | None = None
    type: str = "unicast"
    scope: int = 0
    onlink: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class RuleKey:
    """A routing policy rule.

    Attributes:
        family: Family of the packets it looks at.
        priority: Its place among the rules, lower first.
        source: Network of the packets' source, None for any.
        mark: Firewall mark of the packets, None for any.
        table: The table it leads to.
    """

    family: Family
    priority: int
    table: int
    source: IPNetwork | None = None
    mark: int | None = None

    def __str__(self) -> str:
        return f"rule {self.priority} from {self.source or 'all'} lookup {self.table}"


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """A rule has nothing that can be changed in place."""


@dataclass(frozen=True, slots=True)
class SysctlKey:
    """A kernel parameter, by its path below /proc/sys.

    Device names may hold dots, so the parts are kept apart: ``("net", "ipv4", "conf", "eth0.5",
    "rp_filter")``.
    """

    path: tuple[str, ...]

    def __str__(self) -> str:
        # sysctl(8) writes a dot inside a part as a slash.
        return ".".join(part.replace(".", "/") for part in self.path)


@dataclass(frozen=True, slots=True)
class SysctlConfig:
    """Value of a kernel parameter, without surrounding white space."""

    value: str


@dataclass(frozen=True, slots=True)
class FouPortKey:
    """A UDP port on which the kernel unwraps packets (``ip fou``).

    Attributes:
        family: Family of the outer packets.
        port: The UDP port.
    """

    family: Family
    port: int

    def __str__(self) -> str:
        return f"fou port {self.port}" + (" -6" if self.family is Family.IPV6 else "")


@dataclass(frozen=True, slots=True)
class FouPortConfig:
    """What a UDP port unwraps.

    Attributes:
        gue: Generic UDP encapsulation; otherwise the payload is a packet of ``protocol``.
        protocol: IP protocol of the payload; 0 with gue, whose header says it.
    """

    gue: bool = True
    protocol: int = 0


HostKey = LinkKey | AddressKey | RouteKey | RuleKey | SysctlKey | FouPortKey
Config = LinkConfig | AddressConfig | RouteConfig | RuleConfig | SysctlConfig | FouPortConfig
HostState = Mapping[HostKey, Config | None]


@dataclass(frozen=True, slots=True)
class HostChange:
    """Make one thing so: create it, edit it in place, or with None remove it."""

    key: HostKey
    config: Config | None

    def __str__(self) -> str:
        match self.config:
            case None:
                return f"remove {self.key}"
            case SysctlConfig(value=value):
                return f"set {self.key} to {value}"
            case LinkConfig(up=up):
                return f"set {self.key} {'up' if up else 'down'}"
            case _:
                return f"set {self.key}"


class Host(Protocol):
    """The network configuration of one network namespace.

    An instance belongs to the thread that made it. A read that fails as a whole raises
    :class:`lvsctl.errors.KernelError`; it is never an empty answer.
    """

    def links(self) -> Sequence[str]:
        """Return the names of all network devices, in the kernel's order."""
        ...

    def addresses(self) -> Mapping[AddressKey, AddressConfig]:
        """Return every address of every device with its options, each device's oldest first."""
        ...

    def gateways(self) -> Sequence[tuple[str, IPAddress]]:
        """Return device and next hop of every default route of the main table."""
        ...

    def routes(self, family: Family, table: int = MAIN_TABLE) -> Mapping[RouteKey, RouteConfig]:
        """Return every route of a table, in the kernel's order.

        Of a route with several next hops this tells the first one only, and of several routes
        with one key (such as each device's own ``fe80::/64``) the first.
        """
        ...

    def observe(self, keys: Collection[HostKey]) -> HostState:
        """Return what each of ``keys`` is now, None for absent."""
        ...

    def apply(self, changes: Sequence[HostChange]) -> Sequence[Result]:
        """Make the changes in order; one result for each.

        Each is idempotent: setting what is already so, or removing what is absent, is Done. The
        changes after one that failed are Skipped, since their order carries meaning.
        """
        ...

    def close(self) -> None:
        """Let go of the kernel; the configuration stays as it is."""
        ...
