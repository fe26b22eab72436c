"""Results of the probes through the tunnels."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from lvsctl.doctor.facts import Facts, IcmpError, NoRoute, ProbeResult, RouteQuery, TunnelPath
from lvsctl.doctor.findings import Finding, broken, warning
from lvsctl.ipvs.table import TunnelType

_CAUSES = (
    "the tunnel's device is down or of another type, the VIP is missing, rp_filter or a firewall "
    "drops the packets, or the server does not answer pings"
)


def through_tunnel(facts: Facts) -> Iterator[Finding]:
    """Each real server answers pings to each VIP through its tunnel."""
    for path, probed in facts.probed.items():
        if not isinstance(path, TunnelPath) or probed.answered:
            continue
        if isinstance(facts.routes.get(RouteQuery(path.rip)), NoRoute):
            continue
        if probed.icmp_errors:
            icmp_error = probed.icmp_errors[0]
            yield broken(
                str(path.rip),
                f"{path}: refused by {icmp_error.sender}: {icmp_error.what}",
                "clients that are sent there see their connections fail",
                _remedy(path, icmp_error),
            )
        else:
            yield broken(
                str(path.rip),
                f"{path}: no answer to pings through the tunnel",
                f"clients that are sent there may wait in vain: {_CAUSES}",
                f"lvsctl doctor on {path.rip}",
            )


def _remedy(path: TunnelPath, icmp_error: IcmpError) -> str:
    match icmp_error.what:
        case "port unreachable" if path.encapsulation.type is TunnelType.GUE:
            return f"on {path.rip}: ip fou add port {path.encapsulation.port} gue; lvsctl doctor"
        case "port unreachable" | "protocol unreachable":
            return (
                f"on {path.rip}: bring up the device for {path.encapsulation}, or give the pool "
                "the tunnel that it has; lvsctl doctor there says which"
            )
        case "prohibited by a firewall":
            return f"let the firewall of {icmp_error.sender} pass {path.encapsulation}"
        case _:
            return (
                f"ip route get {path.rip} here and on {icmp_error.sender}; "
                f"lvsctl doctor on {path.rip}"
            )


def path_mtu(facts: Facts) -> Iterator[Finding]:
    """Packets of the device's MTU reach each real server, or ICMP tells the sender otherwise."""
    if facts.director is None:
        return
    for path, probed in facts.probed.items():
        if not isinstance(path, TunnelPath) or not _below_device_mtu(probed):
            continue
        said = facts.director.path_mtus.get(path.rip)
        if said and said <= probed.passed:
            continue
        size = (
            f"the path to {path.rip} carries packets of {probed.passed} bytes over "
            f"{path.encapsulation}, this host sends {probed.asked}, and"
        )
        why = "large uploads hang: their packets vanish and nobody tells the client to send less"
        cure = (
            f"tunnel.mtu: {probed.passed} in the pool of {path.rip} (farm file; the real servers "
            "then announce a segment that fits), or"
        )
        if not probed.too_big:
            told = "let ICMP type 3 code 4 (IPv6: type 2) pass"
            yield broken(str(path.rip), f"{size} no ICMP says so", why, f"{cure} {told}")
        elif path.rip.version == 6 and not facts.director.daemon_runs:  # noqa: PLR2004
            route = f"ip route add {path.rip} via GATEWAY mtu {probed.passed}"
            unheeded = f"{size} IPVS does not heed the ICMPv6 that says so"
            yield broken(str(path.rip), unheeded, why, f"{cure} run lvsctl's director, or {route}")


def path_mtu_to_director(facts: Facts) -> Iterator[Finding]:
    """The same towards the director, as the path from it usually has the same MTU."""
    if facts.real_server is None:
        return
    for director, probed in facts.probed.items():
        if not isinstance(director, IPv4Address | IPv6Address) or not _below_device_mtu(probed):
            continue
        if probed.too_big:
            continue
        said = facts.real_server.path_mtu
        if said is not None and said <= probed.passed:
            continue
        yield warning(
            str(director),
            f"the path to the director {director} carries packets of {probed.passed} bytes, this "
            f"host sends {probed.asked}, and no ICMP says so",
            "where the way from the director is like the way to it, large uploads hang",
            f"lvsctl doctor on {director}; tunnel.mtu: {probed.passed} in the pool",
        )


def _below_device_mtu(probed: ProbeResult) -> bool:
    return probed.answered and probed.passed < probed.asked
