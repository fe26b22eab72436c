"""Random services, destinations and operations that every IPVS backend can express."""

from hypothesis import strategies as st

from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    Operation,
    Persistence,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IPAddress, IpProtocol, family_of

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh", "fo", "ovf", "lblc")
MAX_TIMEOUT_S = 31 * 24 * 60 * 60
MAX_THRESHOLD = 0x7FFFFFFF
ports = st.integers(1, 0xFFFF)
addresses: st.SearchStrategy[IPAddress] = st.ip_addresses()
service_keys: st.SearchStrategy[ServiceKey] = st.one_of(
    st.builds(AddressKey, st.sampled_from(IpProtocol), addresses, ports),
    st.builds(FwmarkKey, st.sampled_from(Family), st.integers(1, 0xFFFFFFFF)),
)
encapsulations = st.one_of(
    st.just(Encapsulation()),
    st.builds(
        Encapsulation,
        st.just(TunnelType.GRE),
        st.just(0),
        st.sampled_from([TunnelFlag(0), TunnelFlag.CHECKSUM]),
    ),
    st.builds(
        Encapsulation,
        st.just(TunnelType.GUE),
        ports,
        st.sampled_from([TunnelFlag(0), TunnelFlag.CHECKSUM, TunnelFlag.REMOTE_CHECKSUM]),
    ),
)


@st.composite
def service_configs(draw: st.DrawFn, key: ServiceKey) -> VirtualServiceConfig:
    """Draw a configuration that a service of this key may have."""
    scheduler = draw(st.sampled_from(SCHEDULERS))
    # ipvsadm does not print the third flag of sh and mh, which has no meaning there.
    flags = ServiceFlag(draw(st.integers(0, 3 if scheduler in ("sh", "mh") else 7)) << 3)
    if (isinstance(key, FwmarkKey) or key.protocol is IpProtocol.UDP) and draw(st.booleans()):
        flags |= ServiceFlag.ONE_PACKET
    persistence = st.builds(
        Persistence,
        timeout_s=st.integers(1, MAX_TIMEOUT_S),
        prefix_length=st.integers(1, key.family.bits),
        engine=st.sampled_from(["", "sip"]),
    )
    return VirtualServiceConfig(scheduler, flags, draw(st.none() | persistence))


@st.composite
def destination_configs(
    draw: st.DrawFn, service: ServiceKey, key: DestinationKey
) -> DestinationConfig:
    """Draw a configuration that this destination may have."""
    methods = [ForwardingMethod.TUNNEL]
    if family_of(key.address) is service.family:
        methods.append(ForwardingMethod.MASQUERADE)
        methods.append(ForwardingMethod.DIRECT_ROUTE)
    method = draw(st.sampled_from(methods))
    upper, lower = sorted(
        draw(st.lists(st.integers(0, MAX_THRESHOLD), min_size=2, max_size=2)), reverse=True
    )
    return DestinationConfig(
        draw(st.integers(0, 0xFFFF)),
        method,
        draw(encapsulations) if method is ForwardingMethod.TUNNEL else None,
        upper,
        lower,
    )


def destination_keys(
    service: ServiceKey, rips: st.SearchStrategy[IPAddress] = addresses
) -> st.SearchStrategy[DestinationKey]:
    """Draw keys with the service's own port, which every forwarding method may have."""
    port = st.just(service.port) if isinstance(service, AddressKey) else st.sampled_from([0, 8080])
    return st.builds(DestinationKey, rips, port)


@st.composite
def operations(
    draw: st.DrawFn,
    services: st.SearchStrategy[ServiceKey] = service_keys,
    rips: st.SearchStrategy[IPAddress] = addresses,
) -> Operation:
    """Draw one operation."""
    service = draw(services)
    config = draw(service_configs(service))
    key = draw(destination_keys(service, rips))
    destination = draw(destination_configs(service, key))
    timeouts = draw(st.builds(Timeouts, *[st.integers(0, MAX_TIMEOUT_S)] * 3))
    candidates: list[Operation] = [
        AddService(service, config),
        EditService(service, config),
        DeleteService(service),
        AddDestination(service, key, destination),
        EditDestination(service, key, destination),
        DeleteDestination(service, key),
        SetTimeouts(timeouts),
    ]
    return draw(st.sampled_from(candidates))
