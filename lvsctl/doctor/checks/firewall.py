"""Packet filters on this host."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts, Journey, Route
from lvsctl.doctor.findings import Finding, broken
from lvsctl.doctor.firewall import Drop, Packet, dropped
from lvsctl.doctor.needs import needs_of
from lvsctl.doctor.packets import GRE, INNER_PROTOCOL, UDP
from lvsctl.ipvs.table import Encapsulation, TunnelType
from lvsctl.net import Family, family_of

_IN = frozenset({"prerouting", "input"})
_OUT = frozenset({"output", "postrouting"})


def incoming(facts: Facts) -> Iterator[Finding]:
    """Tunnelled packets from the directors get in."""
    if facts.real_server is None:
        return
    task, drops = facts.real_server.task, dict[str, tuple[Drop, str]]()
    link = next((key.link for key in facts.addresses if key.address.ip == task.address), "")
    for need in needs_of(task):
        for director in facts.real_server.directors:
            if director.version != task.address.version:
                continue
            packet = Packet(need.protocol, director, task.address, need.tunnel.port, link)
            drop = dropped(facts.tables, _IN, packet)
            if drop is not None:
                drops.setdefault(str(drop), (drop, str(need)))
    for drop, tunnel in drops.values():
        yield _finding(drop, f"packets in tunnel {tunnel} end here")


def outgoing(facts: Facts) -> Iterator[Finding]:
    """Tunnelled packets to the real servers get out."""
    if facts.director is None:
        return
    drops = dict[str, tuple[Drop, str]]()
    for way in facts.director.ways:
        route = facts.routes.get(Journey(way.rip))
        if not isinstance(route, Route) or route.source is None:
            continue
        protocol = _protocol(way.encapsulation, family_of(way.vip))
        port = way.encapsulation.port
        packet = Packet(protocol, route.source, way.rip, port, out_link=route.link)
        drop = dropped(facts.tables, _OUT, packet)
        if drop is not None:
            drops.setdefault(str(drop), (drop, str(way)))
    for drop, way_text in drops.values():
        yield _finding(drop, f"packets for {way_text} end here")


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
