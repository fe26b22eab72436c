"""Point-to-point tunnels over REST: declared, refused, told to their agents, shown as they are."""

from typing import Any

import pytest

from tests.api.bench import ENDS, TUNNEL, Bench

ADDRESS = "/v1/tunnels/c2d"


def join(bench: Bench, *names: str) -> None:
    for name in names:
        address = {"c": "192.0.2.31", "d": "192.0.2.32"}[name]
        answer = bench.put(f"/v1/agents/{name}", json={"address": address, "pools": []})
        assert answer.is_success, answer.text


def report(bench: Bench, name: str, **state: object) -> None:
    farm_id = bench.get(f"/v1/agents/{name}/assignment").json()["farm_id"]
    end = {"tunnel": "c2d", "up": True, "since": "2026-01-01T00:00:00Z", **state}
    document = {"farm_id": farm_id, "ready": [], "tunnels": [], "tunnel_ends": [end]}
    assert bench.put(f"/v1/agents/{name}/report", json=document).is_success


def status(bench: Bench) -> Any:  # noqa: ANN401 - any JSON
    return bench.get(ADDRESS).json()["status"]


def test_is_created_changed_and_removed(empty: Bench) -> None:
    """As every object: 201 with Location, ETag, merge patch, and gone."""
    created = empty.put(ADDRESS, json=TUNNEL)
    assert (201, ADDRESS) == (created.status_code, created.headers["Location"])
    shown = empty.get(ADDRESS)
    assert TUNNEL == {key: shown.json()[key] for key in TUNNEL}
    assert [] == empty.put(ADDRESS, json=shown.json()).json()["changes"]
    stale = empty.patch(ADDRESS, json={"mtu": 1400}, headers={"If-Match": '"999"'})
    assert 412 == stale.status_code
    assert 200 == empty.patch(ADDRESS, json={"mtu": 1400}).status_code
    assert [1400] == [each["mtu"] for each in empty.get("/v1/tunnels").json()["tunnels"]]
    assert 200 == empty.delete(ADDRESS).status_code
    assert 404 == empty.get(ADDRESS).status_code


def test_is_a_section_of_the_farm(bench: Bench) -> None:
    """It is shown and replaced with the farm; a farm without the section has none."""
    bench.put(ADDRESS, json=TUNNEL)
    farm = bench.get("/v1/farm").json()
    assert [TUNNEL] == farm["tunnels"]
    etag = bench.get("/v1/farm").headers["ETag"]
    farm["tunnels"][0]["mode"] = "gre"
    assert ["change tunnel c2d"] == bench.put("/v1/farm", json=farm).json()["changes"]
    assert etag != bench.get("/v1/farm").headers["ETag"]
    del farm["tunnels"]
    assert ["remove tunnel c2d"] == bench.put("/v1/farm", json=farm).json()["changes"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"key": 7}, "/key"),
        ({"mode": "ip6ip6"}, "/mode"),
        ({"ttl": 256}, "/ttl"),
        ({"colour": "red"}, "/colour"),
        ({"ends": ENDS[:1]}, "/ends"),
        ({"ends": [ENDS[0], {**ENDS[1], "addresses": ["192.168.2.2"]}]}, "/ends/1/addresses/0"),
        ({"ends": [ENDS[0], {**ENDS[1], "addresses": ["2001:db8::2/64"]}]}, "/ends/1/addresses/0"),
        ({"ends": [ENDS[0], {**ENDS[1], "underlay": "192.0.2.31"}]}, "/ends/1/underlay"),
        ({"ends": [ENDS[0], {**ENDS[1], "link": "tunl0"}]}, "/ends/1/link"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    empty: Bench, change: dict[str, object], pointer: str
) -> None:
    """422 that points at the field and says what is allowed, in the tunnel and in a farm."""
    answer = empty.put(ADDRESS, json={**TUNNEL, **change})
    assert 422 == answer.status_code
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    farm = {"services": [], "pools": [], "tunnels": [{**TUNNEL, **change}]}
    answer = empty.put("/v1/farm", json=farm)
    assert 422 == answer.status_code
    assert f"/tunnels/0{pointer}" in {error["pointer"] for error in answer.json()["errors"]}
    assert 404 == empty.get(ADDRESS).status_code


def test_a_second_one_in_the_way_is_refused(empty: Bench) -> None:
    """The same pair of addresses, and an overlapping inner network, are told with the other."""
    empty.put(ADDRESS, json=TUNNEL)
    answer = empty.put("/v1/tunnels/again", json={**TUNNEL, "name": "again"})
    assert 422 == answer.status_code
    told = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert "tunnel c2d already joins 192.0.2.31 and 192.0.2.32 by ipip" == told["/ends"]
    assert "192.168.2.0/24 overlaps 192.168.2.0/24 of tunnel c2d" == told["/ends/0/addresses/0"]


def test_each_agent_is_told_its_end(empty: Bench) -> None:
    """An agent without pools gets its end in the assignment, and nothing once it is removed."""
    empty.put(ADDRESS, json=TUNNEL)
    join(empty, "c", "d")
    (end,) = empty.get("/v1/agents/d/assignment").json()["tunnel_ends"]
    assert ("c2d", "d2c", "192.0.2.32", "192.0.2.31") == (
        end["tunnel"],
        end["link"],
        end["local"],
        end["remote"],
    )
    assert (["192.168.2.2/24"], ["192.168.2.1"]) == (end["addresses"], end["peers"])
    before = empty.get("/v1/agents/d/assignment").headers["ETag"]
    empty.delete(f"{ADDRESS}?wait=5")
    after = empty.get("/v1/agents/d/assignment?wait=5", headers={"If-None-Match": before})
    assert [] == after.json()["tunnel_ends"]


def test_both_ends_are_shown_as_reported(empty: Bench) -> None:
    """Up where both are; else down, with the end and its reason."""
    empty.put(ADDRESS, json=TUNNEL)
    assert "c: agent c has not joined; d: agent d has not joined" == status(empty)["reason"]
    join(empty, "c", "d")
    assert "has not reported since" in status(empty)["reason"]
    report(empty, "c", mtu=1480, round_trip_us=250, sent=20, lost=5)
    report(empty, "d", mtu=1480, round_trip_us=250, sent=20, lost=0)
    shown = status(empty)
    assert ("up", "") == (shown["state"], shown["reason"])
    assert {
        "agent": "c",
        "state": "up",
        "reason": "",
        "since": "2026-01-01T00:00:00Z",
        "mtu": 1480,
        "round_trip_ms": 0.25,
        "loss_percent": 25.0,
    } == shown["ends"][0]
    report(empty, "d", up=False, reason="d2c is missing")
    assert ("down", "d: d2c is missing") == (status(empty)["state"], status(empty)["reason"])


def test_an_agent_that_is_silent_is_told(empty: Bench) -> None:
    """What it said half a minute ago says nothing of now."""
    empty.put(ADDRESS, json=TUNNEL)
    join(empty, "c", "d")
    report(empty, "c")
    report(empty, "d")
    empty.clock.advance(60)
    report(empty, "c")
    assert "d: agent d is silent for 1m" == status(empty)["reason"]
