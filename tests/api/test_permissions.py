"""Every route, for nobody, for somebody with a wrong token, and for each role."""

import re
from collections.abc import Collection, Iterator

import pytest
from fastapi import APIRouter

from api import app as app_module
from api.app import prepared_app
from api.permissions import OPEN, ROUTES, Permissions
from api.routes import health
from lvsctl.farm.access import Role
from tests.api.bench import AnyName, Bench

AGENT = "rs1"
PATHS = prepared_app().state.contract.document["paths"]
REQUESTS = [(method.upper(), path) for path, methods in PATHS.items() for method in methods]
"""From the app's own routes, so that a new one is here by itself."""

WHO = (None, "wrong", *Role)


@pytest.fixture
def roles(bench: Bench) -> Iterator[Bench]:
    """A director that has a user in each role."""
    bench.daemon.credentials = AnyName()
    return bench


def filled(path: str, agent: str = AGENT) -> str:
    """Return an address of a route at which nothing stands."""
    return re.sub(r"{\w+}", "nothing", path.replace("{agent}", agent))


def status(bench: Bench, who: str | None, method: str, address: str) -> int:
    """Return the status of a request that does nothing."""
    headers = {"Authorization": f"Bearer {who}/{AGENT}"} if who else {"Authorization": ""}
    parameters = "?follow=false" if address == "/v1/events" else ""
    return bench.request(method, f"{address}{parameters}", headers=headers).status_code


def expected(who: str | None, roles: Collection[Role] | None) -> Collection[int]:
    """Return the refusal that a request must get; empty where it is let through."""
    if roles is OPEN or (who in [*Role] and Role(who) in (roles or ())):
        return ()
    return (403,) if who in [*Role] else (401,)


def test_every_route_lets_in_only_who_may_use_it(roles: Bench) -> None:
    """What is let through is answered by the route, whatever it says to it."""
    found, wanted = {}, {}
    for method, path in REQUESTS:
        for who in WHO:
            answered = status(roles, who, method, filled(path))
            refused = expected(who, ROUTES[path][method])
            found[method, path, who] = answered in (401, 403)
            wanted[method, path, who] = bool(refused)
            assert not refused or answered in refused, (method, path, who, answered)
    assert wanted == found
    assert len(REQUESTS) * len(WHO) == len(found)


@pytest.mark.parametrize(
    ("method", "path"), [each for each in REQUESTS if "{agent}" in each[1] and each[0] != "DELETE"]
)
def test_an_agent_speaks_for_itself_only(roles: Bench, method: str, path: str) -> None:
    """For another it is refused, whether there is one or not."""
    assert 403 == status(roles, Role.AGENT, method, filled(path, "rs2"))


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/nothing", "/", "//v1/farm", "/v1/farm/", "/v1/farm%2F"])
def test_what_is_no_route_is_refused_alike_for_everybody(
    roles: Bench, method: str, path: str
) -> None:
    """A stranger does not learn what there is."""
    assert [401, 401] + [404] * len(Role) == [status(roles, who, method, path) for who in WHO]


@pytest.mark.parametrize("who", Role)
def test_a_method_that_is_none_is_named(roles: Bench, who: Role) -> None:
    """With those that are."""
    answer = roles.post("/v1/farm", headers={"Authorization": f"Bearer {who}/{AGENT}"})
    assert (405, "GET, PUT") == (answer.status_code, answer.headers["Allow"])


def test_the_roles_can_do_what_they_are_for() -> None:
    """The table in words, so that nobody widens a role unseen."""
    writes = {
        role: {
            f"{method} {path}"
            for path, methods in ROUTES.items()
            for method, roles in methods.items()
            if method != "GET" and role in (roles or ())
        }
        for role in Role
        if role is not Role.ADMIN
    }
    override = "/v1/pools/{pool}/real-servers/{server}/override"
    assert {
        Role.OPERATOR: {f"PUT {override}", f"DELETE {override}", "PUT /v1/mode"},
        Role.VIEWER: set(),
        Role.METRICS: set(),
        Role.AGENT: {
            "PUT /v1/agents/{agent}",
            "PUT /v1/agents/{agent}/report",
            "POST /v1/agents/{agent}/credential",
        },
        Role.JOIN: {"POST /v1/join"},
    } == writes
    reads = {
        role: {path for path, methods in ROUTES.items() if role in (methods.get("GET") or ())}
        for role in (Role.METRICS, Role.AGENT)
    }
    assert {
        Role.METRICS: {"/metrics"},
        Role.AGENT: {"/v1/agents/{agent}", "/v1/agents/{agent}/assignment"},
    } == reads


def test_a_refusal_says_what_is_missing(roles: Bench) -> None:
    """The name, the role, and the roles that would do."""
    answer = roles.put("/v1/mode", json={}, headers={"Authorization": "Bearer viewer/rs1"})
    assert 403 == answer.status_code
    assert "urn:lvsctl:problem:forbidden" == answer.json()["type"]
    assert (
        "rs1 has the role viewer; PUT /v1/mode needs admin or operator" == answer.json()["detail"]
    )
    answer = roles.get("/v1/agents/rs2", headers={"Authorization": "Bearer agent/rs1"})
    assert "agent rs1 may speak only for itself, not for rs2" in answer.json()["detail"]


def test_a_route_without_a_declared_role_keeps_the_director_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And names it."""
    router = APIRouter()
    router.include_router(health.router)
    router.add_api_route("/v1/new", lambda: None, methods=["POST"])
    monkeypatch.setattr(health, "router", router)
    with pytest.raises(ValueError, match="POST /v1/new"):
        app_module.prepared_app.__wrapped__()


def test_an_entry_without_a_route_is_refused_too() -> None:
    """It would be a mistyped one."""
    paths = {path: methods for path, methods in PATHS.items() if path != "/v1/mode"}
    with pytest.raises(ValueError, match="/v1/mode"):
        Permissions(paths)
