"""What probes through the tunnels showed."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from lvsctl.doctor.facts import Facts, Journey, NoRoute, Probed, Refusal, Way
from lvsctl.doctor.findings import Finding, broken, warning
from lvsctl.ipvs.table import TunnelType

_CAUSES = (
    "the tunnel's device is down or of another type, the VIP is missing, rp_filter or a firewall "
    "drops the packets, or the server does not answer pings"
)


def through_tunnel(facts: Facts) -> Iterator[Finding]:
    """Each real server answers for each VIP through its tunnel."""
    for way, probed in facts.probed.items():
        if not isinstance(way, Way) or probed.answered:
            continue
        if isinstance(facts.routes.get(Journey(way.rip)), NoRoute):
            continue
        if probed.refusals:
            refusal = probed.refusals[0]
            yield broken(
                str(way.rip),
                f"{way}: refused by {refusal.sender}: {refusal.what}",
                "clients that are sent there see their connections fail",
                _remedy(way, refusal),
            )
        else:
            yield broken(
                str(way.rip),
                f"{way}: no answer to pings through the tunnel",
                f"clients that are sent there may wait in vain: {_CAUSES}",
                f"lvsctl doctor on {way.rip}",
            )


def _remedy(way: Way, refusal: Refusal) -> str:
    match refusal.what:
        case "port unreachable" if way.encapsulation.type is TunnelType.GUE:
            return f"on {way.rip}: ip fou add port {way.encapsulation.port} gue; lvsctl doctor"
        case "port unreachable" | "protocol unreachable":
            return (
                f"on {way.rip}: bring up the device for {way.encapsulation}, or give the pool the "
                "tunnel that it has; lvsctl doctor there says which"
            )
        case "prohibited by a firewall":
            return f"let the firewall of {refusal.sender} pass {way.encapsulation}"
        case _:
            return (
                f"ip route get {way.rip} here and on {refusal.sender}; lvsctl doctor on {way.rip}"
            )


def path_mtu(facts: Facts) -> Iterator[Finding]:
    """Packets as large as the device takes reach each real server, or their sender is told."""
    if facts.director is None:
        return
    for way, probed in facts.probed.items():
        if not isinstance(way, Way) or not _small(probed):
            continue
        said = facts.director.path_mtus.get(way.rip)
        if said and said <= probed.passed:
            continue
        size = (
            f"the path to {way.rip} carries packets of {probed.passed} bytes over "
            f"{way.encapsulation}, this host sends {probed.asked}, and"
        )
        why = "large uploads hang: their packets vanish and nobody tells the client to send less"
        cure = (
            f"tunnel.mtu: {probed.passed} in the pool of {way.rip} (farm file; the real servers "
            "then announce a segment that fits), or"
        )
        if not probed.too_big:
            told = "let ICMP type 3 code 4 (IPv6: type 2) pass"
            yield broken(str(way.rip), f"{size} no ICMP says so", why, f"{cure} {told}")
        elif way.rip.version == 6 and not facts.director.daemon_runs:  # noqa: PLR2004
            route = f"ip route add {way.rip} via GATEWAY mtu {probed.passed}"
            unheeded = f"{size} IPVS does not heed the ICMPv6 that says so"
            yield broken(str(way.rip), unheeded, why, f"{cure} run lvsctl's director, or {route}")


def path_mtu_to_director(facts: Facts) -> Iterator[Finding]:
    """The same for the way back, which shows most often what the way here is."""
    if facts.real_server is None:
        return
    for director, probed in facts.probed.items():
        if not isinstance(director, IPv4Address | IPv6Address) or not _small(probed):
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


def _small(probed: Probed) -> bool:
    return probed.answered and probed.passed < probed.asked
