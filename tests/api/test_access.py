"""Who may ask, and under what name."""

from datetime import timedelta

import anyio
import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.access import AUTHENTICATED, PEER_UID, Access
from api.app import prepared_app
from lvsctl.director.access.credentials import Credentials
from lvsctl.director.access.refusals import Refusals
from tests.api.bench import CLIENT, START, TOKEN, Bench

ADDRESSES = (
    "/metrics",
    "/v1/farm",
    "/v1/services/web",
    "/v1/nothing",
    "/nothing",
    "/v1",
    "/",
    "//v1/farm",
)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer \xfc",
    ],
)
def test_without_the_token_nobody_is_let_in(bench: Bench, address: str, header: str) -> None:
    """Whatever the address; the answer says what is asked for."""
    answer = bench.get(address, headers={b"Authorization": header.encode("latin-1")})
    assert 401 == answer.status_code
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_with_the_token_everybody_is_let_in(bench: Bench, scheme: str) -> None:
    """The case of the scheme does not matter (RFC 9110, 11.1)."""
    answer = bench.get("/v1/farm", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert 200 == answer.status_code


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_what_tells_nothing_of_the_farm_is_open(bench: Bench, address: str) -> None:
    """Watchers have no token."""
    assert 200 == bench.get(address, headers={"Authorization": ""}).status_code


def test_a_write_without_the_token_changes_nothing(bench: Bench) -> None:
    """It is refused before it is read."""
    before = bench.revision
    answer = bench.delete("/v1/services/web", headers={"Authorization": ""})
    assert (401, before) == (answer.status_code, bench.revision)


async def over_unix_socket(
    bench: Bench,
    headers: list[tuple[bytes, bytes]],
    method: str = "GET",
    path: str = "/v1/farm",
) -> int:
    """Ask as a server does for a request over its UNIX socket; return the status."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": None,
        "server": ("/run/lvsctl/director.sock", None),
        "state": {PEER_UID: 0},
    }
    await bench.app(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer wrong")]])
def test_over_the_unix_socket_no_token_is_needed(
    bench: Bench, headers: list[tuple[bytes, bytes]]
) -> None:
    """The kernel lets only root and the director's own user come that way."""
    assert 200 == bench.portal.call(over_unix_socket, bench, headers)


def ask(access: Access, path: str, authorization: str) -> int:
    """Send a request through it; return how often the server was told of a valid credential."""
    told: list[None] = []

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {AUTHENTICATED: lambda: told.append(None)}
        await access(scope, receive, send)

    async def send() -> None:
        transport = httpx.ASGITransport(served, client=(CLIENT, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://lb1") as client:
            await client.get(path, headers={"Authorization": authorization})

    anyio.run(send)
    return len(told)


@pytest.fixture
def access() -> Access:
    """Before an app that answers everything, with windows that do not end."""
    refusals = Refusals(lambda: START, lambda *_: None)
    credentials = Credentials(dict, lambda: START)
    credentials.accept_shared(TOKEN, START + timedelta(days=1))
    return Access(
        Response(),
        prepared_app().state.permissions,
        lambda: credentials,
        lambda: refusals,
    )


@pytest.mark.parametrize(
    ("authorization", "told"), [(f"Bearer {TOKEN}", 1), (f"Bearer {TOKEN}x", 0), ("", 0)]
)
@pytest.mark.parametrize("path", ["/v1/farm", "/healthz"])
def test_the_server_is_told_of_a_valid_credential(
    access: Access, path: str, authorization: str, told: int
) -> None:
    """It limits strangers more than those who have the token; also where none is needed."""
    with capture_logs():
        assert told == ask(access, path, authorization)


def test_wrong_tokens_are_logged_and_missing_ones_are_not(access: Access) -> None:
    """With the address that they came from, and without the token."""
    with capture_logs() as logs:
        for authorization in ("", f"Bearer {TOKEN}", "Bearer guess", f"Basic {TOKEN}"):
            ask(access, "/v1/farm", authorization)
    assert [{"log_level": "warning", "event": "wrong token", "source": CLIENT}] == logs


OVERRIDE = "/v1/pools/web/real-servers/rs1/override"


@pytest.mark.parametrize("headers", [{}, {b"X-Lvsctl-User": b"eve"}])
def test_who_asked_is_kept(bench: Bench, headers: dict[bytes, bytes]) -> None:
    """By the credential; a request cannot choose another name."""
    bench.put(OVERRIDE, json={}, headers=headers)
    assert "shared token" == bench.store.last_by
    assert "shared token" == bench.get(OVERRIDE).json()["by"]


def test_over_the_unix_socket_the_account_is_kept(bench: Bench) -> None:
    """As the kernel has it."""
    status = bench.portal.call(over_unix_socket, bench, [], "DELETE", "/v1/pools/spare")
    assert (200, "root") == (status, bench.store.last_by)


@pytest.mark.parametrize(("uid", "name"), [(0, "root"), (3999999999, "uid 3999999999")])
def test_an_account_has_its_name_where_the_host_knows_one(uid: int, name: str) -> None:
    """A container may not."""
    principal = Credentials.of_local_user(uid)
    assert ("admin", name, "UNIX socket") == (principal.role, principal.name, principal.source)
