"""Tokens over REST: shown once, valid until they end, and never in an answer or the store."""

import json
from collections.abc import Mapping

import pytest

from tests.api.bench import CLIENT, Bench
from tests.api.command_line import Run

CI = "/v1/tokens/ci"


def create(bench: Bench, **body: object) -> str:
    """Create a token ``ci`` and return its text."""
    answer = bench.put(CI, json={"role": "viewer", **body})
    assert 201 == answer.status_code, answer.text
    return str(answer.json()["token"])


def headers(text: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {text}"}


def status(bench: Bench, text: str, path: str = "/v1/farm") -> int:
    """Return what a token gets."""
    return bench.get(path, headers=headers(text)).status_code


def test_a_token_is_shown_once(bench: Bench) -> None:
    """With 256 random bits; what is stored and listed does not tell it."""
    answer = bench.put(CI, json={"role": "viewer", "ttl": "90d"})
    text = answer.json().pop("token")
    assert "no-store" == answer.headers["Cache-Control"]
    assert len("lvsctl_") + 43 == len(text)
    assert text != create_again(bench)
    listed = bench.get("/v1/tokens").json()["tokens"]
    assert (
        {
            "name": "ci",
            "role": "viewer",
            "pools": [],
            "by": "shared token",
            "secrets": [{"created": "2026-01-01T00:00:00Z", "expires": "2026-04-01T00:00:00Z"}],
            "last_used": None,
            "last_source": None,
            "uses": None,
        }
        == listed[0]
        == bench.get(CI).json()
    )
    stored = bench.portal.call(bench.daemon.writer._store.run, documents, bench)
    assert text not in stored
    assert text not in json.dumps(listed)


def create_again(bench: Bench) -> str:
    return str(bench.put("/v1/tokens/other", json={"role": "viewer"}).json()["token"])


def documents(bench: Bench) -> str:
    """Return everything that the store holds."""
    return repr(bench.store._documents) + repr(bench.store.history(100))


def test_a_token_has_the_rights_of_its_role_and_no_more(bench: Bench) -> None:
    """And what it does is done in its name."""
    text = create(bench, role="operator")
    assert 200 == status(bench, text)
    override = "/v1/pools/web/real-servers/rs1/override"
    answer = bench.put(override, json={"weight": 5}, headers=headers(text))
    assert (201, "ci") == (answer.status_code, bench.store.last_by)
    assert 403 == status(bench, text, "/v1/tokens")
    assert 403 == bench.put("/v1/farm", json={}, headers=headers(text)).status_code


def test_its_last_use_is_known_and_not_stored(bench: Bench) -> None:
    """Whoever has a token could make the store write without end."""
    text = create(bench)
    before = bench.revision
    bench.clock.advance(60)
    status(bench, text)
    found = bench.get(CI).json()
    assert ("2026-01-01T00:01:00Z", CLIENT) == (found["last_used"], found["last_source"])
    assert before == bench.revision


def test_a_token_ends(bench: Bench) -> None:
    """To the second; whoever has it is told so, and what to do."""
    text = create(bench, ttl="60s")
    bench.clock.advance(59)
    assert 200 == status(bench, text)
    bench.clock.advance(1)
    answer = bench.get("/v1/farm", headers=headers(text))
    assert 401 == answer.status_code
    assert "urn:lvsctl:problem:token-expired" == answer.json()["type"]
    assert "lvsctl token rotate ci" in answer.json()["detail"]
    assert 401 == status(bench, text, "/v1/nothing")
    assert 200 == status(bench, text, "/healthz")


def test_a_rotated_token_is_never_refused(bench: Bench) -> None:
    """Both are valid for as long as was asked for; then only the new one."""
    old = create(bench, ttl="10d")
    answer = bench.post(f"{CI}/rotate?overlap=30s&ttl=20d")
    new = answer.json()["token"]
    assert "2026-01-21T00:00:00Z" == answer.json()["expires"]
    assert (200, 200) == (status(bench, old), status(bench, new))
    bench.clock.advance(30)
    assert (401, 200) == (status(bench, old), status(bench, new))


def test_a_rotation_does_not_prolong_what_it_replaces(bench: Bench) -> None:
    """And of three secrets the oldest is gone at once."""
    first = create(bench, ttl="10s")
    second = bench.post(f"{CI}/rotate?overlap=1h&ttl=1d").json()["token"]
    bench.clock.advance(10)
    assert (401, 200) == (status(bench, first), status(bench, second))
    third = bench.post(f"{CI}/rotate").json()["token"]
    assert (401, 200, 200) == tuple(status(bench, each) for each in (first, second, third))
    fourth = bench.post(f"{CI}/rotate").json()["token"]
    assert (401, 200, 200) == tuple(status(bench, each) for each in (second, third, fourth))


def test_a_rotated_token_lasts_as_long_as_before(bench: Bench) -> None:
    """Unless another time is given; one that never expires goes on so."""
    bench.put("/v1/tokens/short", json={"role": "viewer", "ttl": "2d"})
    bench.clock.advance(86400)
    assert "2026-01-04T00:00:00Z" == bench.post("/v1/tokens/short/rotate").json()["expires"]
    assert "2026-01-04T00:00:00Z" == bench.post("/v1/tokens/short/rotate").json()["expires"]
    longer = bench.post("/v1/tokens/short/rotate?ttl=3d").json()
    assert "2026-01-05T00:00:00Z" == longer["expires"]
    bench.put("/v1/tokens/ever", json={"role": "viewer"})
    assert bench.post("/v1/tokens/ever/rotate").json()["expires"] is None


def test_a_revoked_token_is_refused_at_once(bench: Bench) -> None:
    """Its name is free again, and the old text stays worth nothing."""
    text = create(bench)
    assert 200 == bench.delete(CI).status_code
    assert (401, 404) == (status(bench, text), bench.get(CI).status_code)
    create(bench)
    assert 401 == status(bench, text)


@pytest.mark.parametrize(
    ("path", "body", "status", "pointer"),
    [
        ("ci", {"role": "viewer"}, 409, None),
        ("new", {"role": "root"}, 422, "/role"),
        ("new", {}, 422, "/role"),
        ("new", {"role": "viewer", "ttl": "0s"}, 422, "/ttl"),
        ("new", {"role": "viewer", "ttl": "99999d"}, 422, "/ttl"),
        ("new", {"role": "viewer", "pools": ["web"]}, 422, "/pools"),
        ("rs1", {"role": "agent", "pools": ["web", "none"]}, 422, "/pools/1"),
        ("a b", {"role": "viewer"}, 422, "/name"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    bench: Bench, path: str, body: object, status: int, pointer: str | None
) -> None:
    """With the field that is wrong; nothing is stored."""
    create(bench)
    before = bench.revision
    answer = bench.put(f"/v1/tokens/{path}", json=body)
    assert (status, before) == (answer.status_code, bench.revision)
    assert [pointer] * (status == 422) == [each["pointer"] for each in answer.json()["errors"]]


@pytest.mark.parametrize("parameters", ["overlap=x", "overlap=99999999d", "ttl=0s"])
def test_a_rotation_that_cannot_be_is_refused(bench: Bench, parameters: str) -> None:
    """And the present secret stays."""
    text = create(bench)
    assert 422 == bench.post(f"{CI}/rotate?{parameters}").status_code
    assert 404 == bench.post("/v1/tokens/none/rotate").status_code
    assert 200 == status(bench, text)


def test_an_agent_joins_its_own_pools_only(bench: Bench) -> None:
    """Under its own name; what it asks beyond is refused and changes nothing."""
    created = bench.put("/v1/tokens/rs3", json={"role": "agent", "pools": ["web"]}).json()
    own = headers(created["token"])
    joins = {"address": "192.0.2.13", "pools": ["web"]}
    assert 201 == bench.put("/v1/agents/rs3", json=joins, headers=own).status_code
    before = bench.revision
    elsewhere = bench.put("/v1/agents/rs3", json={**joins, "pools": ["web", "dns"]}, headers=own)
    another = bench.put("/v1/agents/rs4", json=joins, headers=own)
    assert (403, 403, before) == (elsewhere.status_code, another.status_code, bench.revision)
    assert "agent rs3 may join web, not dns" in elsewhere.json()["detail"]
    assert 200 == bench.get("/v1/agents/rs3/assignment", headers=own).status_code


def test_tokens_outlive_the_farm(bench: Bench) -> None:
    """They are no part of it: a new farm leaves them, a broken one does not keep them out."""
    text = create(bench)
    assert bench.put("/v1/farm?force=true", json={"services": [], "pools": []}).is_success
    assert 200 == status(bench, text)


def test_the_command_line_creates_and_ends_them(bench: Bench, run: Run) -> None:
    """The token is printed once."""
    text = json.loads(run("token", "create", "ci", "--role", "viewer", "-o", "json").stdout)
    assert 200 == status(bench, text["token"])
    listed = run("token", "list").stdout
    assert "ci" in listed
    assert text["token"] not in listed
    printed = run("token", "rotate", "ci", "--overlap", "5m", "--ttl", "1d").stdout
    assert "It is not shown again." in printed
    assert "remove token ci" in run("token", "revoke", "ci").stdout
    assert "there is no token ci" in run("token", "revoke", "ci", status=1).stderr
