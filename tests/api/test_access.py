"""Who may ask, and under what name."""

import pytest
from anyio.from_thread import BlockingPortal

from api.app import create_app
from tests.api.bench import CLIENT, TOKEN, Bench, open_bench

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


def test_a_director_without_a_token_lets_everybody_in(portal: BlockingPortal) -> None:
    """It listens on loopback only."""
    with open_bench(portal) as bench:
        bench.app = create_app(bench.daemon, None)
        assert 200 == bench.get("/v1/farm", headers={"Authorization": ""}).status_code


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
