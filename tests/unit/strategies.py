"""Random values of the domain, for properties."""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_interface

from hypothesis import strategies as st

from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.checks import (
    DnsRequest,
    ExecRequest,
    HealthCheck,
    HttpRequest,
    RecordType,
    StatusRange,
    TcpRequest,
    Through,
    TlsOptions,
    TlsRequest,
    UdpRequest,
)
from lvsctl.farm.model import (
    Director,
    Farm,
    MarkRange,
    Pool,
    PoolTunnel,
    PortRange,
    RealServer,
    Service,
    Settings,
    VipOwner,
)
from lvsctl.farm.objects import Directors, Kind, ObjectId
from lvsctl.farm.policy import HealthPolicy, OnDown, Quorum, SlowStart
from lvsctl.farm.rules.farm import SCHEDULER_FLAGS, SCHEDULERS
from lvsctl.farm.status import (
    AdministrativeState,
    Agent,
    AtDeadline,
    Deadline,
    Override,
    Readiness,
    ServerId,
    Status,
)
from lvsctl.farm.tunnels import End, Tunnel
from lvsctl.host.interface import AddressKey as HostAddressKey
from lvsctl.host.interface import LinkKey
from lvsctl.ipvs.table import (
    AddressKey,
    DestinationConfig,
    DestinationKey,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    Persistence,
    ServiceFlag,
    TunnelFlag,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.messages.model import Membership, TunnelMode
from lvsctl.net import Family, IPAddress, IpProtocol
from lvsctl.reasons.catalogue import KINDS
from lvsctl.store.interface import Mode, ModeName

NAMES = st.sampled_from(["a", "b", "rs1", "rs2", "web", "www.example-1"])
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)
TUNNEL_TYPES = st.sampled_from(TunnelType)
TUNNELS = (
    PoolTunnel(),
    PoolTunnel(TunnelType.GRE),
    PoolTunnel(TunnelType.GRE, checksum=True, mtu=1400),
    PoolTunnel(TunnelType.GUE, 6080),
    PoolTunnel(TunnelType.GUE, 6081, checksum=True, mtu=1300),
)
WEIGHTS = st.integers(0, 65535)
TEXTS = st.text(max_size=20)
TIMES = st.datetimes(timezones=st.just(UTC))

# Few addresses, so that tables overlap.
RIPS = st.sampled_from([IPv4Address(f"192.0.2.{n}") for n in range(11, 17)])
VIPS = st.sampled_from([IPv4Address(f"198.51.100.{n}") for n in range(10, 14)])
READINESSES = [
    Readiness(IPv4Address(f"198.51.100.{n}"), tunnel.encapsulation)
    for n in range(10, 14)
    for tunnel in TUNNELS
]


# --- any values of the types, as a store must keep them -------------------------------------

persistences = st.builds(
    Persistence, timeout_s=st.integers(), prefix_length=st.integers(), engine=TEXTS
)
any_services = st.builds(
    Service,
    name=TEXTS,
    vip=ADDRESSES,
    pool=TEXTS,
    protocol=st.none() | st.sampled_from(IpProtocol),
    ports=st.lists(st.integers(), max_size=4).map(tuple),
    fwmark=st.none() | st.integers(),
    scheduler=TEXTS,
    flags=st.none() | st.frozensets(TEXTS, max_size=3),
    persistence=st.none() | persistences,
    sorry_server=st.none() | ADDRESSES,
)
any_tls_options = st.builds(TlsOptions, st.none() | TEXTS, st.booleans())
any_requests = st.one_of(
    st.just(TcpRequest()),
    st.builds(
        HttpRequest,
        method=TEXTS,
        path=TEXTS,
        host=st.none() | TEXTS,
        headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
        statuses=st.lists(st.builds(StatusRange, st.integers(), st.integers()), max_size=2).map(
            tuple
        ),
        body=st.none() | TEXTS,
        tls=st.none() | any_tls_options,
    ),
    st.builds(TlsRequest, any_tls_options),
    st.builds(UdpRequest, st.binary(max_size=20), st.binary(max_size=20)),
    st.builds(DnsRequest, TEXTS, st.sampled_from(RecordType), st.frozensets(ADDRESSES, max_size=2)),
    st.builds(ExecRequest, TEXTS, st.lists(TEXTS, max_size=2).map(tuple)),
)
any_seconds = st.floats(allow_nan=False, allow_infinity=False)
any_health_checks = st.builds(
    HealthCheck,
    request=any_requests,
    port=st.none() | st.integers(),
    through=st.sampled_from(Through),
    interval_s=any_seconds,
    fast_interval_s=any_seconds,
    timeout_s=any_seconds,
    rise=st.integers(),
    fall=st.integers(),
    grace_s=any_seconds,
    jitter=any_seconds,
)
any_health_policies = st.builds(
    HealthPolicy,
    st.sampled_from(OnDown),
    st.none() | st.builds(SlowStart, st.integers(), st.integers()),
    st.none() | st.builds(Quorum, st.integers(), st.integers(), st.booleans()),
    st.integers(),
)
any_tunnels = st.builds(
    PoolTunnel, TUNNEL_TYPES, st.integers(), st.booleans(), st.none() | st.integers()
)
any_encapsulations = st.builds(
    Encapsulation,
    TUNNEL_TYPES,
    st.integers(),
    st.sampled_from([TunnelFlag(bits) for bits in range(4)]),
)
any_pools = st.builds(
    Pool,
    name=TEXTS,
    tunnel=any_tunnels,
    real_servers=st.lists(
        st.builds(
            RealServer,
            TEXTS,
            ADDRESSES,
            st.integers(),
            st.integers(),
            st.integers(),
            st.none() | any_tunnels,
        ),
        max_size=3,
    ).map(tuple),
    health_checks=st.lists(any_health_checks, max_size=2).map(tuple),
    health_policy=any_health_policies,
)
any_directors = st.builds(
    Directors,
    st.lists(
        st.builds(Director, TEXTS, st.lists(ADDRESSES, max_size=3).map(tuple)), max_size=3
    ).map(tuple),
)
any_settings = st.builds(
    Settings,
    tcp_timeout_s=st.none() | st.integers(),
    tcp_fin_timeout_s=st.none() | st.integers(),
    udp_timeout_s=st.none() | st.integers(),
    sysctls=st.dictionaries(TEXTS, st.integers(), max_size=3),
    vips=st.sampled_from(VipOwner),
    probe_marks=st.builds(MarkRange, st.integers(), st.integers()),
    probe_ports=st.builds(PortRange, st.integers(), st.integers()),
)
any_tunnels = st.builds(
    Tunnel,
    name=TEXTS,
    mode=st.sampled_from(TunnelMode),
    ends=st.lists(
        st.builds(
            End,
            TEXTS,
            ADDRESSES,
            st.lists(ADDRESSES.map(ip_interface), max_size=2).map(tuple),
            st.none() | TEXTS,
            st.none() | TEXTS,
        ),
        max_size=2,
    ).map(tuple),
    key=st.none() | st.integers(),
    ttl=st.none() | st.integers(),
    mtu=st.none() | st.integers(),
)
any_reasons = st.lists(
    st.sampled_from([*KINDS.values()]).flatmap(
        lambda kind: st.builds(
            lambda subject, values: kind(subject, **values),
            TEXTS,
            st.dictionaries(
                st.sampled_from(["why", "link", "count"]),
                st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2),
            ),
        )
    ),
    max_size=3,
).map(tuple)
overrides = st.builds(
    Override,
    state=st.sampled_from(AdministrativeState),
    weight=st.none() | WEIGHTS,
    reason=TEXTS,
    by=TEXTS,
    since=TIMES,
)
any_agents = st.builds(
    Agent,
    name=TEXTS,
    address=ADDRESSES,
    pools=st.lists(TEXTS, max_size=3).map(tuple),
    weight=st.integers(),
    membership=st.sampled_from(Membership),
    ready=st.frozensets(st.builds(Readiness, ADDRESSES, any_encapsulations), max_size=4),
)
any_tokens = st.builds(
    Token,
    name=TEXTS,
    role=st.sampled_from(Role),
    secrets=st.lists(
        st.builds(Secret, st.binary(max_size=32), TIMES, st.none() | TIMES, st.booleans()),
        max_size=2,
    ).map(tuple),
    by=TEXTS,
    pools=st.lists(TEXTS, max_size=2).map(tuple),
    uses=st.none() | st.integers(),
    address=st.none() | ADDRESSES,
)
OBJECTS_BY_KIND = {
    Kind.SERVICE: any_services,
    Kind.POOL: any_pools,
    Kind.TUNNEL: any_tunnels,
    Kind.DIRECTORS: any_directors,
    Kind.SETTINGS: any_settings,
    Kind.OVERRIDE: overrides,
    Kind.AGENT: any_agents,
    Kind.TOKEN: any_tokens,
}
modes = st.builds(
    Mode, name=st.sampled_from(ModeName), reason=TEXTS, until=st.none() | TIMES, by=TEXTS
)


@st.composite
def named_objects(draw: st.DrawFn) -> tuple[ObjectId, object]:
    """Draw an object of any kind under one of a few names."""
    kind = draw(st.sampled_from(Kind))
    return ObjectId(kind, draw(NAMES)), draw(OBJECTS_BY_KIND[kind])


# --- keys and tables of IPVS ----------------------------------------------------------------

# Few keys, so that two random tables and a random set of claims have much in common.
SERVICE_KEYS = (
    AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80),
    AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 443),
    AddressKey(IpProtocol.UDP, IPv4Address("198.51.100.10"), 80),
    AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.9"), 80),
    AddressKey(IpProtocol.TCP, IPv6Address("2001:db8::10"), 80),
    FwmarkKey(Family.IPV4, 1),
    FwmarkKey(Family.IPV6, 1),
)
service_keys = st.sampled_from(SERVICE_KEYS)
any_service_keys = st.builds(
    AddressKey, st.sampled_from(IpProtocol), ADDRESSES, st.integers(0, 65535)
) | st.builds(FwmarkKey, st.sampled_from(Family), st.integers(0, 2**32 - 1))
host_claims = st.builds(LinkKey, TEXTS) | st.builds(
    HostAddressKey, TEXTS, ADDRESSES.map(ip_interface)
)
service_configs = st.builds(
    VirtualServiceConfig,
    scheduler=st.sampled_from(["rr", "wlc", "mh"]),
    flags=st.sampled_from([ServiceFlag(0), ServiceFlag.SCHED1]),
    persistence=st.none() | st.just(Persistence(300, 32)),
)
destination_configs = st.builds(
    DestinationConfig,
    weight=st.integers(0, 3),
    forwarding=st.just(ForwardingMethod.TUNNEL),
    encapsulation=st.builds(Encapsulation, TUNNEL_TYPES),
    upper_threshold=st.integers(0, 2),
)
virtual_services = st.builds(
    VirtualService,
    service_configs,
    st.dictionaries(
        st.builds(DestinationKey, RIPS, st.sampled_from([0, 80])), destination_configs, max_size=5
    ),
)
tables = st.dictionaries(service_keys, virtual_services, max_size=6)


# --- farms that keep to the rules -----------------------------------------------------------


# Sampled rather than built: these are drawn thousands of times.
SCHEDULING = st.sampled_from(
    [
        (scheduler, flags)
        for scheduler in SCHEDULERS
        for flags in (None, frozenset(), frozenset(SCHEDULER_FLAGS.get(scheduler, ())))
    ]
)
SELECTORS = st.sampled_from(
    [
        *((protocol, ports) for protocol in IpProtocol for ports in ((80,), (443, 80), (1, 65535))),
        (None, ()),
    ]
)
PERSISTENCES = st.sampled_from([None, Persistence(300, 24)])


@st.composite
def good_pools(draw: st.DrawFn, name: str, tunnels: Sequence[PoolTunnel] = TUNNELS) -> Pool:
    """Draw a pool whose servers have names and addresses of their own."""
    own_tunnels = st.none() | st.sampled_from(tunnels)
    drawn = st.lists(
        st.tuples(RIPS, st.sampled_from([0, 1, 100]), own_tunnels),
        unique_by=lambda server: server[0],
        max_size=4,
    )
    servers = tuple(
        RealServer(f"rs{int(address) & 0xFF}", address, weight, tunnel=tunnel)
        for address, weight, tunnel in draw(drawn)
    )
    return Pool(name, draw(st.sampled_from(tunnels)), servers)


@st.composite
def good_services(draw: st.DrawFn, name: str, vip: IPAddress, mark: int) -> Service:
    """Draw a service on a VIP, with ports or under a mark."""
    protocol, ports = draw(SELECTORS)
    scheduler, flags = draw(SCHEDULING)
    return Service(
        name=name,
        vip=vip,
        pool=draw(st.sampled_from(["blue", "green"])),
        protocol=protocol,
        ports=ports,
        fwmark=None if ports else mark,
        scheduler=scheduler,
        flags=flags,
        persistence=draw(PERSISTENCES),
    )


@st.composite
def good_farms(draw: st.DrawFn) -> Farm:
    """Draw a farm of two pools that keeps to the rules."""
    vips = enumerate(draw(st.lists(VIPS, unique=True)), start=1)
    services = [draw(good_services(f"s{number}", vip, number)) for number, vip in vips]
    # The pools share addresses, and a host takes gre either with or without checksum.
    other_sort = draw(st.booleans())
    tunnels = [t for t in TUNNELS if t.type is not TunnelType.GRE or t.checksum is not other_sort]
    pools = [draw(good_pools(name, tunnels)) for name in ("blue", "green")]
    return Farm(
        {service.name: service for service in services}, {pool.name: pool for pool in pools}
    )


SOME_OVERRIDES = st.sampled_from(
    [
        Override(state, weight, reason, "anna", datetime(2026, 1, 2, tzinfo=UTC), deadline)
        for state in AdministrativeState
        for weight in (None, 0, 7)
        for reason in ("", "new disk")
        for deadline in (
            None,
            *(Deadline(datetime(2026, 1, 3, tzinfo=UTC), then) for then in AtDeadline),
        )
        if deadline is None or state is AdministrativeState.DRAINING
    ]
)


@st.composite
def statuses(draw: st.DrawFn, farm: Farm) -> Status:
    """Draw a status that bears on a farm: overrides of its servers, agents in its pools."""
    agents = {}
    for address in draw(st.lists(RIPS, unique=True, max_size=5)):
        name = f"rs{int(address) & 0xFF}"
        agents[name] = Agent(
            name,
            address,
            tuple(draw(st.lists(st.sampled_from(sorted(farm.pools)), unique=True))),
            draw(WEIGHTS),
            draw(st.sampled_from(Membership)),
            draw(st.frozensets(st.sampled_from(READINESSES), max_size=8)),
        )
    servers = st.builds(
        ServerId, st.sampled_from(sorted(farm.pools)), st.sampled_from(sorted(agents) or ["rs11"])
    )
    return Status(draw(st.dictionaries(servers, SOME_OVERRIDES, max_size=3)), agents)
