"""The whole farm over REST."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tests.api.bench import EXAMPLE, Bench, Request


def test_a_farm_that_was_put_is_in_the_kernel(bench: Bench) -> None:
    """One virtual service stands for each port and each mark."""
    assert {
        "tcp 198.51.100.10:80",
        "tcp 198.51.100.10:443",
        "udp 198.51.100.53:53",
        "fwmark 7",
    } == {str(key) for key in bench.kernel.table()}


def test_what_get_shows_can_be_put_back(bench: Bench) -> None:
    """It is the same farm, so nothing changes, not even the revision."""
    shown = bench.get("/v1/farm")
    answer = bench.put("/v1/farm", json=shown.json())
    assert (200, [], bench.revision) == (
        answer.status_code,
        answer.json()["changes"],
        answer.json()["revision"],
    )


def test_get_shows_what_was_put(bench: Bench) -> None:
    """Every field that was named is there, beside the defaults."""
    shown = bench.get("/v1/farm").json()
    assert contains(shown, EXAMPLE)


def test_an_empty_director_shows_an_empty_farm(empty: Bench) -> None:
    """No farm is a farm without services and pools."""
    shown = empty.get("/v1/farm").json()
    assert ([], [], []) == (shown["services"], shown["pools"], shown["directors"])


def test_put_says_what_it_changes_and_does(bench: Bench) -> None:
    """Changes name objects, operations what happens to the table."""
    farm = example()
    farm["services"][1]["scheduler"] = "wrr"
    answer = bench.put("/v1/farm", json=farm).json()
    assert ["change service dns"] == answer["changes"]
    assert ["edit service udp 198.51.100.53:53 wrr"] == answer["operations"]


def test_a_dry_run_stores_nothing(bench: Bench) -> None:
    """It says what would be done, and neither state nor kernel changes."""
    before = bench.revision, bench.kernel.table()
    farm = example()
    farm["services"][1]["scheduler"] = "wrr"
    answer = bench.put("/v1/farm?dry_run=true", json=farm)
    assert ["edit service udp 198.51.100.53:53 wrr"] == answer.json()["operations"]
    assert before == (bench.revision, bench.kernel.table())


def test_a_dry_run_refuses_what_a_run_would(bench: Bench) -> None:
    """A person learns of it before."""
    farm = example()
    farm["services"][1]["scheduler"] = "best"
    assert 422 == bench.put("/v1/farm?dry_run=true", json=farm).status_code


def test_a_drastic_change_is_made_when_it_is_forced(bench: Bench) -> None:
    """Without force the answer carries the plan and the way to force it."""
    nothing: dict[str, object] = {"services": [], "pools": []}
    refused = bench.put("/v1/farm", json=nothing)
    assert 409 == refused.status_code
    assert "delete service fwmark 7" in refused.json()["plan"]
    assert "drastic-change" == refused.json()["code"]
    assert "force=true" in refused.json()["detail"]

    assert 200 == bench.put("/v1/farm?force=true&wait=10", json=nothing).status_code
    assert {} == bench.kernel.table()


def test_a_known_farm_is_not_sent_again(bench: Bench) -> None:
    """If-None-Match with the ETag is answered 304, also when a proxy made it weak."""
    etag = bench.get("/v1/farm").headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        answer = bench.get("/v1/farm", headers={"If-None-Match": known})
        assert (304, b"") == (answer.status_code, answer.content)


def test_the_farm_loses_against_one_that_was_faster(bench: Bench) -> None:
    """If-Match covers every object of the farm, added, changed or removed."""
    etag = bench.get("/v1/farm").headers["ETag"]
    for request in (
        Request("PUT", "/v1/pools/late", {"json": {}}),
        Request("PATCH", "/v1/services/dns", {"json": {"scheduler": "lc"}}),
        Request("DELETE", "/v1/pools/late", {}),
    ):
        (changed,) = bench.at_once(request)
        assert changed.is_success
        lost = bench.put("/v1/farm", json=EXAMPLE, headers={"If-Match": etag})
        assert 412 == lost.status_code
    etag = bench.get("/v1/farm").headers["ETag"]
    answer = bench.put("/v1/farm", json=EXAMPLE, headers={"If-Match": etag})
    assert 200 == answer.status_code
    assert bench.get("/v1/farm").headers["ETag"] == answer.headers["ETag"]


def test_agents_and_overrides_do_not_touch_the_farms_etag(bench: Bench) -> None:
    """They are not in the farm file."""
    etag = bench.get("/v1/farm").headers["ETag"]
    agent = {"address": "192.0.2.13", "pools": ["web"]}
    assert 201 == bench.put("/v1/agents/rs3", json=agent).status_code
    override = {"state": "draining"}
    address = "/v1/pools/web/real-servers/rs1/override"
    assert 201 == bench.put(address, json=override).status_code
    assert etag == bench.get("/v1/farm").headers["ETag"]


def test_overrides_and_agents_outlive_a_put(bench: Bench) -> None:
    """An apply does not undrain, and it takes no server of an agent away."""
    bench.put("/v1/pools/web/real-servers/rs1/override", json={"state": "draining"})
    bench.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    farm = example()
    farm["pools"][0]["real_servers"][0]["weight"] = 70
    assert 200 == bench.put("/v1/farm", json=farm).status_code
    servers = bench.get("/v1/pools/web").json()["status"]["real_servers"]
    assert [("rs1", "draining"), ("rs2", "enabled"), ("rs3", "enabled")] == [
        (server["name"], server["state"]) for server in servers
    ]


def example() -> dict[str, Any]:
    """Return the example farm, to change it."""
    return deepcopy(dict(EXAMPLE))


def contains(shown: Any, put: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether everything that was put is shown, at its place."""
    if isinstance(put, Mapping):
        return all(field in shown and contains(shown[field], put[field]) for field in put)
    if isinstance(put, list):
        return len(put) == len(shown) and all(map(contains, shown, put))
    return bool(put == shown)
