"""Whether arriving tunnelled packets match the tunnel that this host accepts."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Arrival, Facts
from lvsctl.doctor.findings import Finding, broken
from lvsctl.messages.model import Tunnel


def wrong_tunnel(facts: Facts) -> Iterator[Finding]:
    """Directors use a tunnel that this real server accepts; noticed only while there is traffic."""
    if facts.real_server is None:
        return
    accepted = {_wire(tunnel) for tunnel in facts.real_server.spec.tunnels}
    reported: set[tuple[str, int, bool]] = set()
    for arrival in sorted(facts.arrivals, key=str):
        sent = _wire(arrival.tunnel)
        if arrival.outer != facts.real_server.spec.address or sent in accepted | reported:
            continue
        reported.add(sent)
        yield broken(
            _named(arrival.tunnel),
            f"{arrival.sender} sends packets for VIP {arrival.vip} over {_named(arrival.tunnel)}, "
            f"this host is to accept {', '.join(map(_named, facts.real_server.spec.tunnels))}",
            "they are refused: director and real server do not agree on the tunnel",
            _cure(arrival),
        )


def _wire(tunnel: Tunnel) -> tuple[str, int, bool]:
    return tunnel.type, tunnel.port, tunnel.checksum and tunnel.type == "gre"


def _named(tunnel: Tunnel) -> str:
    checksum = " with checksum" if tunnel.checksum else ""
    return f"{tunnel.type}{f' port {tunnel.port}' if tunnel.port else ''}{checksum}"


def _cure(arrival: Arrival) -> str:
    return (
        f"on the director {arrival.sender}: lvsctl plan show, or ipvsadm -Ln; the pool's tunnel "
        "and the destination must be the same"
    )
