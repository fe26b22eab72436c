"""The audit: every write with its author and what changed; every refusal, in memory only."""

import pytest
from structlog.testing import capture_logs

from lvsctl.director.access.refusals import MAX_GROUPS, Refusals
from tests.api.bench import CLIENT, START, AnyName, Bench, Request
from tests.api.command_line import Run

ADA = {"Authorization": "Bearer admin/ada"}


@pytest.fixture
def named(bench: Bench) -> Bench:
    """A director whose users have the names that they show."""
    bench.daemon.credentials = AnyName()
    return bench


def test_a_write_is_audited_with_what_changed(named: Bench) -> None:
    """Who, from where, from what to what: in the commit and in the journal."""
    body = {"address": "192.0.2.11", "weight": 50}
    with capture_logs() as logs:
        assert named.put("/v1/pools/web/real-servers/rs1", json=body, headers=ADA).is_success
    (latest, *_) = named.get("/v1/audit", headers=ADA).json()["writes"]
    change = "change pool web: real_servers/rs1/weight 100 → 50"
    assert {
        "revision": named.revision,
        "by": "ada",
        "source": CLIENT,
        "changes": [change],
    } == {key: latest[key] for key in ("revision", "by", "source", "changes")}
    (stored,) = (line for line in logs if line["event"] == "stored")
    assert ("ada", CLIENT, (change,)) == (stored["by"], stored["source"], stored["changed"])


def test_what_concerns_one_director_is_audited_too(named: Bench) -> None:
    """Its mode and adoptions, which are in no commit."""
    named.put("/v1/mode", json={"mode": "observe", "reason": "disk"}, headers=ADA)
    named.occupy("198.51.100.77")
    named.post("/v1/adopt", headers=ADA)
    writes = named.get("/v1/audit", headers=ADA).json()["writes"]
    own = [(each["by"], each["changes"]) for each in writes if each["revision"] is None]
    assert [("ada", ["adopt nothing"]), ("ada", ["change mode: enforce → observe: disk"])] == own


def test_the_writes_go_back_page_by_page(named: Bench) -> None:
    """By the revision of the last one seen."""
    for weight in range(5):
        named.put(f"/v1/pools/p{weight}", json={}, headers=ADA)
    first = named.get("/v1/audit?limit=2", headers=ADA).json()["writes"]
    second = named.get(f"/v1/audit?limit=2&before={first[-1]['revision']}", headers=ADA).json()
    revisions = [each["revision"] for each in (*first, *second["writes"])]
    assert [*range(named.revision, named.revision - 4, -1)] == revisions
    assert [] == named.get("/v1/audit?before=1", headers=ADA).json()["writes"]


def test_refusals_are_audited_and_not_stored(named: Bench) -> None:
    """A stranger, a wrong token, a role that does not do: grouped by source."""
    before = named.revision
    for _ in range(3):
        named.delete("/v1/services/web", headers={"Authorization": "Bearer guess"})
    nobody = Request("GET", "/v1/farm", {})
    named.portal.call(named.send, nobody, {})
    with capture_logs() as logs:
        named.delete("/v1/services/web", headers={"Authorization": "Bearer viewer/eve"})
    refusals = named.get("/v1/audit", headers=ADA).json()["refusals"]
    assert {
        (CLIENT, "", "wrong token", 3),
        (CLIENT, "", "no token", 1),
        (CLIENT, "eve", "viewer may not DELETE /v1/services/{service}", 1),
    } == {tuple(each[key] for key in ("source", "name", "reason", "times")) for each in refusals}
    assert before == named.revision
    (line,) = logs
    assert "viewer may not DELETE /v1/services/{service}" == line["event"]
    assert f"{CLIENT} (eve)" == line["source"]


def test_an_agent_that_speaks_for_another_is_audited(named: Bench) -> None:
    """With its own name."""
    body = {"address": "192.0.2.13", "pools": ["web"]}
    headers = {"Authorization": "Bearer agent/rs3"}
    assert 403 == named.put("/v1/agents/rs4", json=body, headers=headers).status_code
    assert 403 == named.put("/v1/agents/rs3", json=body, headers=headers).status_code
    refusals = named.get("/v1/audit", headers=ADA).json()["refusals"]
    assert {
        ("rs3", "agent may not PUT /v1/agents/{agent}"),
        ("rs3", "agent may not join a pool"),
    } == {(each["name"], each["reason"]) for each in refusals}


def test_strangers_cannot_push_others_out_nor_fill_the_memory() -> None:
    """However many addresses they have."""
    refusals = Refusals(lambda: START, lambda *_: None)
    refusals.record(CLIENT, "viewer may not PUT /v1/farm", "eve")
    with capture_logs():
        for number in range(10_000):
            refusals.record(str(number), "wrong token")
    assert MAX_GROUPS + 1 == len(refusals.all)
    assert "eve" in {each.name for each in refusals.all}


def test_the_command_line_shows_it(bench: Bench, run: Run) -> None:
    """The latest first, with the refusals below."""
    run("server", "set", "rs1", "--pool", "web", "--weight", "50")
    bench.get("/v1/farm", headers={"Authorization": "Bearer guess"})
    printed = run("audit", "--limit", "1").stdout
    assert f"revision {bench.revision}  by shared token from 127.0.0.1\n" in printed
    assert "    add override web/rs1: state enabled, weight 50" in printed
    assert "wrong token" in printed


def test_a_report_in_an_agents_place_names_who_sent_it(named: Bench) -> None:
    """The agent did not write it."""
    named.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]}, headers=ADA)
    report = {
        "farm_id": named.daemon.state.farm_id,
        "ready": ["198.51.100.10"],
        "tunnels": [{"type": "ipip"}],
    }
    assert 204 == named.put("/v1/agents/rs3/report", json=report, headers=ADA).status_code
    (latest, *_) = named.get("/v1/audit", headers=ADA).json()["writes"]
    assert (named.revision, "ada", CLIENT) == (
        latest["revision"],
        latest["by"],
        latest["source"],
    )
    assert latest["changes"][0].startswith("change agent rs3: ready")
