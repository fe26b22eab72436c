"""Packet filters on this host."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts, Route, RouteQuery
from lvsctl.doctor.findings import Finding, broken
from lvsctl.doctor.firewall import Drop, Packet, dropped
from lvsctl.doctor.packets import GRE, INNER_PROTOCOL, UDP
from lvsctl.doctor.tunnel_requirements import requirements_of
from lvsctl.ipvs.table import Encapsulation, TunnelType
from lvsctl.net import Family, family_of

_IN = frozenset({"prerouting", "input"})
_OUT = frozenset({"output", "postrouting"})


def incoming(facts: Facts) -> Iterator[Finding]:
    """The firewall accepts tunnelled packets from the directors."""
    if facts.real_server is None:
        return
    spec, drops = facts.real_server.spec, dict[str, tuple[Drop, str]]()
    link = next((key.link for key in facts.addresses if key.address.ip == spec.address), "")
    for requirement in requirements_of(spec):
        for director in facts.real_server.directors:
            if director.version != spec.address.version:
                continue
            packet = Packet(
                requirement.protocol, director, spec.address, requirement.tunnel.port, link
            )
            drop = dropped(facts.tables, _IN, packet)
            if drop is not None:
                drops.setdefault(str(drop), (drop, str(requirement)))
    for drop, tunnel in drops.values():
        yield _finding(drop, f"packets in tunnel {tunnel} end here")


def outgoing(facts: Facts) -> Iterator[Finding]:
    """The firewall lets tunnelled packets to the real servers out."""
    if facts.director is None:
        return
    drops = dict[str, tuple[Drop, str]]()
    for path in facts.director.tunnel_paths:
        route = facts.routes.get(RouteQuery(path.rip))
        if not isinstance(route, Route) or route.source is None:
            continue
        protocol = _protocol(path.encapsulation, family_of(path.vip))
        port = path.encapsulation.port
        packet = Packet(protocol, route.source, path.rip, port, out_link=route.link)
        drop = dropped(facts.tables, _OUT, packet)
        if drop is not None:
            drops.setdefault(str(drop), (drop, str(path)))
    for drop, path_text in drops.values():
        yield _finding(drop, f"packets for {path_text} end here")


def _finding(drop: Drop, why: str) -> Finding:
    return broken(
        "firewall", f"the firewall drops protocol {drop.protocol}: {drop}", why, drop.cure
    )


def _protocol(encapsulation: Encapsulation, inner: Family) -> int:
    match encapsulation.type:
        case TunnelType.IPIP:
            return INNER_PROTOCOL[inner]
        case TunnelType.GRE:
            return GRE
        case TunnelType.GUE:
            return UDP
