"""Agents get a credential of their own, renew it, and lose it."""

from datetime import timedelta

import pytest
from httpx import Response

from lvsctl.director.access.edits import RenewCredential
from lvsctl.director.state import State
from lvsctl.errors import Conflict, StoreError
from lvsctl.farm.access import Role, Secret, Token
from lvsctl.farm.model import Farm
from lvsctl.farm.status import Status
from tests.api.bench import HEADERS, START, Bench, Request
from tests.api.command_line import Run

RS3 = {"agent": "rs3", "address": "192.0.2.13"}
REGISTRATION = {"address": "192.0.2.13", "pools": ["web"]}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def token(bench: Bench) -> str:
    """A token with which two agents can join ``web``."""
    body = {"role": "join", "pools": ["web"], "uses": 2, "ttl": "1h"}
    return str(bench.put("/v1/tokens/t1", json=body).json()["token"])


@pytest.fixture
def rs3(bench: Bench, token: str) -> str:
    """The credential of an agent that has joined."""
    return str(bench.post("/v1/join", json=RS3, headers=bearer(token)).json()["token"])


def test_a_token_buys_a_credential_for_one_agent(bench: Bench, rs3: str) -> None:
    """Which speaks for itself in the token's pools, and expires."""
    found = bench.get("/v1/tokens/rs3").json()
    assert ("agent", ["web"], "t1") == (found["role"], found["pools"], found["by"])
    assert "2026-04-01T00:00:00Z" == found["secrets"][0]["expires"]
    assert 1 == bench.get("/v1/tokens/t1").json()["uses"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3)).is_success
    assert bench.get("/v1/agents/rs3/assignment", headers=bearer(rs3)).is_success
    for method, path in (("GET", "/v1/farm"), ("PUT", "/v1/agents/rs4"), ("POST", "/v1/join")):
        assert 403 == bench.request(method, path, json={}, headers=bearer(rs3)).status_code


def test_a_token_is_used_up(bench: Bench, token: str) -> None:
    """Also by agents that come at once; who comes later gets 401."""
    requests = [
        Request("POST", "/v1/join", {"json": each, "headers": bearer(token)})
        for number in range(4)
        for each in [{"agent": f"a{number}", "address": f"192.0.2.{20 + number}"}]
    ]
    statuses = sorted(answer.status_code for answer in bench.at_once(*requests))
    assert 2 == statuses.count(201)
    assert {201, 401, 404} >= {*statuses}
    assert 401 == bench.post("/v1/join", json=RS3, headers=bearer(token)).status_code
    assert 2 == len(bench.get("/v1/tokens").json()["tokens"])


def test_a_token_to_join_is_good_for_nothing_else(bench: Bench, token: str) -> None:
    """Nor is it after its time."""
    assert 403 == bench.get("/v1/farm", headers=bearer(token)).status_code
    bench.clock.advance(3600)
    assert 401 == bench.post("/v1/join", json=RS3, headers=bearer(token)).status_code


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (RS3, "there is a credential for rs3 already"),
        ({"agent": "rs4", "address": "192.0.2.13"}, "agent rs3 is at 192.0.2.13 already"),
        ({"agent": "t1", "address": "192.0.2.14"}, "there is a credential for t1 already"),
    ],
)
def test_a_name_or_address_of_another_is_refused(
    bench: Bench, token: str, rs3: str, body: object, reason: str
) -> None:
    """With the reason; the token keeps its use."""
    bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3))
    answer = bench.post("/v1/join", json=body, headers=bearer(token))
    assert (409, True) == (answer.status_code, reason in answer.json()["detail"])
    assert 1 == bench.get("/v1/tokens/t1").json()["uses"]


def test_a_name_that_is_none_is_refused(bench: Bench, token: str) -> None:
    """At its field."""
    body = {"agent": "a b", "address": "192.0.2.14"}
    answer = bench.post("/v1/join", json=body, headers=bearer(token))
    assert (422, "/agent") == (answer.status_code, answer.json()["errors"][0]["pointer"])


def test_a_machine_takes_over_a_name_only_with_an_operators_word(
    bench: Bench, token: str, rs3: str, run: Run
) -> None:
    """The old credential is revoked, the old agent removed."""
    bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3))
    moved = {"agent": "rs3", "address": "192.0.2.14"}
    run("agent", "revoke", "rs3")
    assert 401 == bench.get("/v1/agents/rs3/assignment", headers=bearer(rs3)).status_code
    answer = bench.post("/v1/join", json=moved, headers=bearer(token))
    assert (409, True) == (answer.status_code, "lvsctl agent remove rs3" in answer.text)
    run("agent", "remove", "rs3")
    assert 201 == bench.post("/v1/join", json=moved, headers=bearer(token)).status_code


def test_a_credential_is_good_for_the_address_that_joined_only(bench: Bench, rs3: str) -> None:
    """A declared server that has no agent is nobody's to take out; the attempt is audited."""
    other = {"address": "192.0.2.11", "pools": ["web"]}
    answer = bench.put("/v1/agents/rs3", json=other, headers=bearer(rs3))
    assert (403, "forbidden") == (answer.status_code, answer.json()["code"])
    assert "192.0.2.13" in answer.json()["detail"]
    assert "rs3" not in bench.daemon.state.status.agents
    reasons = [each["reason"] for each in bench.get("/v1/audit").json()["refusals"]]
    assert "agent may not register another address" in reasons
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3)).is_success


@pytest.mark.parametrize("act", ["rotate", "credential"])
def test_a_new_secret_is_bound_to_the_same_address(bench: Bench, rs3: str, act: str) -> None:
    """Whoever asked for it."""
    bench.clock.advance(86400)
    if act == "rotate":
        new = bench.post("/v1/tokens/rs3/rotate").json()["token"]
    else:
        new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    other = {"address": "192.0.2.11", "pools": ["web"]}
    assert 403 == bench.put("/v1/agents/rs3", json=other, headers=bearer(new)).status_code


@pytest.mark.usefixtures("rs3")
def test_an_address_has_one_credential(bench: Bench, token: str) -> None:
    """Also before its agent has registered, and whatever pool its agent is in."""
    body = {"agent": "rs4", "address": "192.0.2.13"}
    answer = bench.post("/v1/join", json=body, headers=bearer(token))
    assert (409, True) == (answer.status_code, "lvsctl agent revoke rs3" in answer.text)
    bench.put("/v1/agents/ns2", json={"address": "192.0.2.22", "pools": ["dns"]})
    body = {"agent": "rs4", "address": "192.0.2.22"}
    answer = bench.post("/v1/join", json=body, headers=bearer(token))
    assert (409, True) == (answer.status_code, "lvsctl agent remove ns2" in answer.text)


@pytest.mark.parametrize("pool", ["web", "dns"])
def test_a_token_takes_over_no_agent(bench: Bench, token: str, pool: str) -> None:
    """Nor one without a credential of its own; an operator removes it first."""
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": [pool]})
    answer = bench.post("/v1/join", json=RS3, headers=bearer(token))
    assert (409, True) == (answer.status_code, "lvsctl agent remove rs3" in answer.text)
    assert "lvsctl token create rs3 --role agent" in answer.text
    assert bench.delete("/v1/agents/rs3").is_success
    assert 201 == bench.post("/v1/join", json=RS3, headers=bearer(token)).status_code


def test_an_agent_leaves_no_pool_that_its_credential_does_not_name(bench: Bench, rs3: str) -> None:
    """It would take a server of another pool out."""
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["dns"]})
    answer = bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3))
    assert (403, True) == (answer.status_code, "not dns" in answer.json()["detail"])
    assert ("dns",) == bench.daemon.state.status.agents["rs3"].pools


def test_a_credential_is_renewed_by_its_agent(bench: Bench, rs3: str) -> None:
    """Also after it has expired, and then it is good for nothing else."""
    bench.clock.advance(400 * 86400)
    bench.daemon.credentials.accept_shared("0123456789abcdef", bench.clock.now.replace(year=2100))
    assert 401 == bench.get("/v1/agents/rs3/assignment", headers=bearer(rs3)).status_code
    new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(new)).is_success
    assert 403 == bench.post("/v1/agents/rs4/credential", headers=bearer(new)).status_code
    assert 403 == bench.post("/v1/agents/rs3/credential").status_code


def test_an_answer_that_was_lost_locks_no_agent_out(bench: Bench, rs3: str) -> None:
    """It asks again with the credential that it has, as often as it takes."""
    bench.clock.advance(3600)
    for _ in range(3):
        assert bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).is_success
    new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3)).is_success
    bench.clock.advance(86400)
    assert 401 == bench.get("/v1/agents/rs3", headers=bearer(rs3)).status_code
    assert 200 == bench.get("/v1/agents/rs3", headers=bearer(new)).status_code


def test_an_answer_that_was_lost_for_long_locks_no_agent_out(bench: Bench, rs3: str) -> None:
    """Nobody has used the new secret, so the agent never got it."""
    bench.clock.advance(86400)
    assert bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).is_success
    bench.clock.advance(30 * 86400)
    assert 401 == bench.get("/v1/agents/rs3/assignment", headers=bearer(rs3)).status_code
    new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(new)).is_success


def test_a_secret_ends_when_the_one_that_replaced_it_is_used(bench: Bench, rs3: str) -> None:
    """By one commit; who has the old one renews nothing, and locks nobody out."""
    bench.clock.advance(86400)
    new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(new)).is_success
    after = bench.revision
    assert 401 == bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).status_code
    assert bench.get("/v1/agents/rs3", headers=bearer(new)).is_success
    assert (after, 1) == (bench.revision, len(bench.get("/v1/tokens/rs3").json()["secrets"]))


def test_a_disk_that_refuses_keeps_no_agent_out(bench: Bench, rs3: str) -> None:
    """The old secret ends with the next request."""
    bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3))
    bench.clock.advance(86400)
    new = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).json()["token"]
    bench.store.broken = StoreError("disk full")
    assert 200 == bench.get("/v1/agents/rs3", headers=bearer(new)).status_code
    bench.store.broken = None
    assert 200 == bench.get("/v1/agents/rs3", headers=bearer(new)).status_code
    assert 401 == bench.get("/v1/agents/rs3", headers=bearer(rs3)).status_code


def test_a_rotated_secret_renews_nothing(bench: Bench, rs3: str) -> None:
    """Neither while it is still valid, nor afterwards; the attempt is audited."""
    bench.clock.advance(86400)
    new = bench.post("/v1/tokens/rs3/rotate").json()["token"]
    assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3)).is_success
    for _ in range(2):
        answer = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3))
        assert (409, True) == (answer.status_code, "lvsctl token rotate rs3" in answer.text)
        bench.clock.advance(3600)
    reasons = [each["reason"] for each in bench.get("/v1/audit").json()["refusals"]]
    assert "a replaced secret renews nothing" in reasons
    assert bench.get("/v1/agents/rs3", headers=bearer(new)).is_success
    assert bench.post("/v1/agents/rs3/credential", headers=bearer(new)).is_success
    assert bench.post("/v1/tokens/rs3/rotate?overlap=0s").is_success
    assert 401 == bench.get("/v1/agents/rs3", headers=bearer(new)).status_code


def test_a_secret_that_was_replaced_meanwhile_renews_nothing() -> None:
    """What counts is the token that the commit finds."""
    old, new = Secret(b"old", START, None), Secret(b"new", START, None)
    token = Token("rs3", Role.AGENT, (new,), "t1")
    state = State("farm", 1, 1, {}, Farm(), Status(), {"rs3": token})
    edit = RenewCredential("rs3", old.digest, Secret(b"newer", START, None), timedelta(days=1))
    with pytest.raises(Conflict, match="has been replaced"):
        edit.changes(state)


def test_a_credential_in_use_is_renewed_once_an_hour(bench: Bench, rs3: str) -> None:
    """Each renewal is a commit, and the history keeps so many."""
    for left_s in (3600, 60):
        answer = bench.post("/v1/agents/rs3/credential", headers=bearer(rs3))
        assert (429, "too-many-requests") == (answer.status_code, answer.json()["code"])
        assert str(left_s) == answer.headers["Retry-After"]
        bench.clock.advance(3540)
    assert bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).is_success


def test_an_agent_changes_what_is_stored_within_a_budget(bench: Bench, rs3: str) -> None:
    """Else it would push everything else out of the history; operators have none."""

    def change(weight: int, **headers: str) -> Response:
        body = {**REGISTRATION, "weight": weight}
        return bench.put("/v1/agents/rs3", json=body, headers=headers or bearer(rs3))

    for weight in range(1, 11):
        assert change(weight).is_success
    answer = change(11)
    assert (429, "6") == (answer.status_code, answer.headers["Retry-After"])
    assert change(11, Authorization=HEADERS["Authorization"]).is_success
    report = {"farm_id": "x", "ready": [], "tunnels": []}
    sent = bench.put("/v1/agents/rs3/report", json=report, headers=bearer(rs3))
    assert 204 == sent.status_code, sent.text
    bench.clock.advance(6)
    assert change(12).is_success
    assert 429 == change(13).status_code


def test_what_stores_nothing_costs_nothing(bench: Bench, rs3: str) -> None:
    """An agent may say the same as often as it likes, and be refused as often."""
    refused = {**REGISTRATION, "pools": ["none"]}
    for _ in range(12):
        assert bench.put("/v1/agents/rs3", json=REGISTRATION, headers=bearer(rs3)).is_success
        answer = bench.put("/v1/agents/rs3", json=refused, headers=bearer(rs3))
        assert 403 == answer.status_code


def test_a_revoked_credential_renews_nothing(bench: Bench, rs3: str) -> None:
    """Unlike an expired one."""
    assert bench.delete("/v1/tokens/rs3").is_success
    assert 401 == bench.post("/v1/agents/rs3/credential", headers=bearer(rs3)).status_code


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "join", "uses": 0}, "/uses"),
        ({"role": "join", "uses": 99999}, "/uses"),
        ({"role": "viewer", "uses": 1}, "/uses"),
        ({"role": "join", "pools": ["none"]}, "/pools/0"),
    ],
)
def test_a_token_to_join_that_cannot_be_is_refused(
    bench: Bench, body: object, pointer: str
) -> None:
    """With the field that is wrong."""
    answer = bench.put("/v1/tokens/t2", json=body)
    assert (422, pointer) == (answer.status_code, answer.json()["errors"][0]["pointer"])


def test_the_command_line_makes_one_for_a_pool(bench: Bench, run: Run) -> None:
    """For one agent within an hour, under a name of its own."""
    run("token", "create", "--pool", "web")
    (token,) = bench.get("/v1/tokens").json()["tokens"]
    assert ("join", 1, ["web"]) == (token["role"], token["uses"], token["pools"])
    assert token["name"].startswith("join-")
    assert token["secrets"][0]["expires"]
    assert "needs a NAME" in run("token", "create", "--role", "viewer", status=2).stderr
    assert "give --role, or --pool" in run("token", "create", "ci", status=2).stderr
    refused = run("agent", "revoke", token["name"], status=1).stderr
    assert f"lvsctl token revoke {token['name']}" in refused
