"""Routes to real servers, clients and directors."""

from collections.abc import Iterator

from lvsctl.doctor.facts import Facts, NoRoute, RouteQuery
from lvsctl.doctor.findings import Finding, broken, warning
from lvsctl.net import family_of


def to_real_servers(facts: Facts) -> Iterator[Finding]:
    """The director has a route to each real server."""
    if facts.director is None:
        return
    for rip in dict.fromkeys(path.rip for path in facts.director.tunnel_paths):
        found = facts.routes.get(RouteQuery(rip))
        if isinstance(found, NoRoute):
            yield broken(
                str(rip),
                f"there is no route to the real server {rip}: {found.reason}",
                "clients that are sent to it are told that their destination is unreachable",
                f"ip route add {rip}/{family_of(rip).bits} via GATEWAY",
            )


def to_clients(facts: Facts) -> Iterator[Finding]:
    """The real server has a route from each VIP to the given clients, or a default route."""
    if facts.real_server is None:
        return
    vips = facts.real_server.spec.vips
    for query, found in facts.routes.items():
        if query.source not in vips or not isinstance(found, NoRoute):
            continue
        if query.destination in facts.clients:
            yield broken(
                str(query.source),
                f"there is no route from VIP {query.source} to the client "
                f"{query.destination}: {found.reason}",
                "requests arrive, and their answers go nowhere",
                f"ip route add {query.destination} via GATEWAY",
            )
        else:
            yield warning(
                str(query.source),
                f"there is no default route for answers from VIP {query.source}: {found.reason}",
                "requests of clients in other networks arrive, and their answers go nowhere; "
                "where all clients are near, name some with --client instead",
                "ip route add default via GATEWAY",
            )


def to_directors(facts: Facts) -> Iterator[Finding]:
    """The real server has a route to its directors."""
    if facts.real_server is None:
        return
    for director in facts.real_server.directors:
        found = facts.routes.get(RouteQuery(director))
        if isinstance(found, NoRoute):
            yield warning(
                str(director),
                f"there is no route to the director {director}: {found.reason}",
                "the agent cannot report, and gets no assignments",
                f"ip route add {director} via GATEWAY",
            )
