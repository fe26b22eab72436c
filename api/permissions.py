"""Which role each route needs: one table, complete or the director does not start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

from api.problems import no_address, no_method
from lvsctl.director.access.principal import Principal
from lvsctl.farm.access import Role

Roles = frozenset[Role]

ADMINISTER: Roles = frozenset({Role.ADMIN})
OPERATE = ADMINISTER | {Role.OPERATOR}
READ = OPERATE | {Role.VIEWER}
SCRAPE = READ | {Role.METRICS}
OWN_AGENT = ADMINISTER | {Role.AGENT}
"""An agent reaches only what is below its own name."""
READ_OR_OWN = READ | {Role.AGENT}
JOIN: Roles = frozenset({Role.JOIN})
RENEW: Roles = frozenset({Role.AGENT})
"""Also with a credential that has expired: a server may have been off for a year."""
OPEN: Roles | None = None
"""Tells nothing of the farm, and needs no credential."""

ROUTES: Mapping[str, Mapping[str, Roles | None]] = {
    "/healthz": {"GET": OPEN},
    "/readyz": {"GET": OPEN},
    "/metrics": {"GET": SCRAPE},
    "/v1/farm": {"GET": READ, "PUT": ADMINISTER},
    "/v1/history": {"GET": READ},
    "/v1/services": {"GET": READ},
    "/v1/services/{service}": {
        "GET": READ,
        "PUT": ADMINISTER,
        "PATCH": ADMINISTER,
        "DELETE": ADMINISTER,
    },
    "/v1/services/{service}/adopt": {"POST": ADMINISTER},
    "/v1/adopt": {"POST": ADMINISTER},
    "/v1/pools": {"GET": READ},
    "/v1/pools/{pool}": {
        "GET": READ,
        "PUT": ADMINISTER,
        "PATCH": ADMINISTER,
        "DELETE": ADMINISTER,
    },
    "/v1/pools/{pool}/real-servers": {"GET": READ},
    "/v1/pools/{pool}/real-servers/{server}": {
        "GET": READ,
        "PUT": ADMINISTER,
        "PATCH": ADMINISTER,
        "DELETE": ADMINISTER,
    },
    "/v1/pools/{pool}/real-servers/{server}/override": {
        "GET": READ,
        "PUT": OPERATE,
        "DELETE": OPERATE,
    },
    "/v1/tunnels": {"GET": READ},
    "/v1/tunnels/{tunnel}": {
        "GET": READ,
        "PUT": ADMINISTER,
        "PATCH": ADMINISTER,
        "DELETE": ADMINISTER,
    },
    "/v1/agents": {"GET": READ},
    "/v1/agents/{agent}": {"GET": READ_OR_OWN, "PUT": OWN_AGENT, "DELETE": ADMINISTER},
    "/v1/agents/{agent}/assignment": {"GET": READ_OR_OWN},
    "/v1/agents/{agent}/report": {"PUT": OWN_AGENT},
    "/v1/agents/{agent}/credential": {"POST": RENEW},
    "/v1/join": {"POST": JOIN},
    "/v1/table": {"GET": READ},
    "/v1/plan": {"GET": READ},
    "/v1/connections": {"GET": READ},
    "/v1/explain": {"GET": READ},
    "/v1/mode": {"GET": READ, "PUT": OPERATE},
    "/v1/events": {"GET": READ},
    "/v1/problems": {"GET": READ},
    "/v1/audit": {"GET": ADMINISTER},
    "/v1/tokens": {"GET": ADMINISTER},
    "/v1/tokens/{token}": {"GET": ADMINISTER, "PUT": ADMINISTER, "DELETE": ADMINISTER},
    "/v1/tokens/{token}/rotate": {"POST": ADMINISTER},
}


RENEWAL = "POST /v1/agents/{agent}/credential"


@dataclass(frozen=True, slots=True)
class Permission:
    """What one request needs.

    Attributes:
        roles: One of these; None for nothing at all.
        agent: Whose address it is; empty if it is no agent's.
        route: Method and path template.
    """

    roles: Roles | None
    agent: str
    route: str

    def allows(self, principal: Principal) -> bool:
        """Tell whether somebody may make the request, their credential being valid."""
        if self.roles is None:
            return True
        if principal.role is Role.AGENT and self.agent and self.agent != principal.name:
            return False
        return principal.role in self.roles


class Permissions:
    """Finds what a request needs.

    Args:
        paths: Path templates and their methods, as OpenAPI has them: all routes of the app, in
            their order.

    Raises:
        ValueError: A route has no entry in :data:`ROUTES`, or an entry no route.
    """

    def __init__(self, paths: Mapping[str, Mapping[str, Any]]) -> None:
        routes = {(path, method.upper()) for path, methods in paths.items() for method in methods}
        declared = {(path, method) for path, methods in ROUTES.items() for method in methods}
        if routes != declared:
            differing = ", ".join(f"{method} {path}" for path, method in routes ^ declared)
            raise ValueError(f"api/permissions.py and the app's routes differ in: {differing}")
        self._patterns = [(compile_path(path)[0], path, ROUTES[path]) for path in paths]

    def find(self, method: str, path: str) -> Permission:
        """Return what a request needs.

        Raises:
            RequestRefused: No route takes it.
        """
        allowed: set[str] = set()
        for pattern, template, methods in self._patterns:
            match = pattern.match(path)
            if match and method in methods:
                agent = match.groupdict().get("agent", "")
                return Permission(methods[method], agent, f"{method} {template}")
            if match:
                allowed.update(methods)
        raise no_method(method, path, sorted(allowed)) if allowed else no_address(path)
