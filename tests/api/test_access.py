"""Who may ask, and under what name."""

import anyio
import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.access import AUTHENTICATED, Access
from api.failed_attempts import FailedAttempts
from tests.api.bench import CLIENT, TOKEN, Bench

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


async def over_unix_socket(bench: Bench, headers: list[tuple[bytes, bytes]]) -> int:
    """Ask for the farm as a server does for a request over its UNIX socket; return the status."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/farm",
        "raw_path": b"/v1/farm",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": None,
        "server": ("/run/lvsctl/director.sock", None),
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
    return Access(Response(), TOKEN, FailedAttempts(lambda *_: None))


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


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ({}, CLIENT),
        ({b"X-Lvsctl-User": b""}, CLIENT),
        ({b"X-Lvsctl-User": b"ada"}, "ada"),
        ({b"X-Lvsctl-User": b" ada@lb1 "}, "ada@lb1"),
        ({b"X-Lvsctl-User": "Zoë".encode()}, "Zoë"),
    ],
)
def test_who_asked_is_kept(bench: Bench, headers: dict[bytes, bytes], by: str) -> None:
    """Under the name that came with the request, else the client's address."""
    bench.put("/v1/pools/web/real-servers/rs1/override", json={}, headers=headers)
    assert by == bench.store.last_by
    assert by == bench.get("/v1/pools/web/real-servers/rs1/override").json()["by"]


@pytest.mark.parametrize("name", [b"x" * 65, b"a\tb", b"\x1b[31m", b"\xff"])
def test_a_name_that_is_none_is_refused(bench: Bench, name: bytes) -> None:
    """It would stand in the history and on terminals."""
    before = bench.revision
    answer = bench.delete("/v1/services/web", headers={b"X-Lvsctl-User": name})
    assert (400, before) == (answer.status_code, bench.revision)
