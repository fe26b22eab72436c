"""Doctor's checks: from facts to findings. Pure."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from lvsctl.doctor.checks import (
    addresses,
    arrivals,
    counters,
    daemons,
    devices,
    firewall,
    modules,
    neighbours,
    paths,
    routes,
    sysctls,
)
from lvsctl.doctor.facts import Facts
from lvsctl.doctor.findings import Finding

Check = Callable[[Facts], Iterator[Finding]]

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "agent": daemons.agent,
        "director": daemons.director,
        "real-server-modules": modules.real_server,
        "director-modules": modules.director,
        "tunnel-device": devices.tunnel_device,
        "fou-port": devices.fou_port,
        "vip-on-real-server": addresses.vip_on_real_server,
        "vip-on-director": addresses.vip_on_director,
        "vip-prefix": addresses.vip_prefix,
        "rp-filter": sysctls.rp_filter,
        "arp": sysctls.arp,
        "director-arp": sysctls.director_arp,
        "ipvs-sysctls": sysctls.ipvs,
        "firewall-in": firewall.incoming,
        "firewall-out": firewall.outgoing,
        "route-to-real-server": routes.to_real_servers,
        "route-to-client": routes.to_clients,
        "route-to-director": routes.to_directors,
        "foreign-vip": neighbours.foreign_vip,
        "through-tunnel": paths.through_tunnel,
        "path-mtu": paths.path_mtu,
        "path-mtu-to-director": paths.path_mtu_to_director,
        "drops": counters.drops,
        "device-errors": counters.device_errors,
        "wrong-tunnel": arrivals.wrong_tunnel,
    }
)
"""By name, in the order in which a packet passes what they check."""


def judge(facts: Facts) -> list[tuple[str, Finding]]:
    """Run every check; return the findings, each with the name of its check."""
    return [(name, finding) for name, check in CHECKS.items() for finding in check(facts)]
