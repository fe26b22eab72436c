"""Agents over REST: joining, the assignment, reports, leaving."""

from typing import Any

import httpx
import pytest

from lvsctl.events import EventKind
from tests.api.bench import Bench, Request

AGENT = "/v1/agents/rs3"
ASSIGNMENT = f"{AGENT}/assignment"
REGISTRATION: dict[str, Any] = {"address": "192.0.2.13", "pools": ["web"]}
FINDING = {
    "severity": "repaired",
    "subject": "tunl0",
    "detail": "it was down",
    "cure": "",
    "at": "2026-01-01T00:00:00Z",
}
VIPS = ["198.51.100.10", "198.51.100.20"]


def join(bench: Bench, membership: str = "joined", query: str = "") -> httpx.Response:
    return bench.put(f"{AGENT}{query}", json=REGISTRATION | {"membership": membership})


def report(bench: Bench, *ready: str, **more: Any) -> httpx.Response:  # noqa: ANN401
    body = {
        "farm_id": bench.daemon.state.farm_id,
        "ready": ready,
        "tunnels": [{"type": "ipip"}],
    }
    return bench.put(f"{AGENT}/report", json=body | more)


def serve(bench: Bench) -> None:
    """Join and report ready; the kernel sends packets when this returns."""
    join(bench)
    report(bench, *VIPS)
    assert join(bench, query="?wait=10").json()["applied"]


def kernel_weight(bench: Bench) -> int | None:
    """Return the weight of the agent's destination in the kernel, None where there is none."""
    service = bench.kernel.table()[bench.key("tcp 198.51.100.10:80")]
    weights = {str(at.address): config.weight for at, config in service.destinations.items()}
    return weights.get("192.0.2.13")


def test_an_agent_joins_and_the_same_again_changes_nothing(bench: Bench) -> None:
    """201, then 200 at the same revision."""
    first, second = join(bench), join(bench)
    assert (201, 200) == (first.status_code, second.status_code)
    assert first.json()["revision"] == second.json()["revision"]


def test_fields_of_a_later_agent_are_passed_over(bench: Bench) -> None:
    """Either side may be the older one."""
    assert 201 == bench.put(AGENT, json=REGISTRATION | {"color": "blue"}).status_code
    assert 204 == report(bench, color="blue").status_code


def test_an_agent_is_told_what_its_host_should_be(bench: Bench) -> None:
    """At once and with an ETag, also right after it has joined."""
    join(bench)
    answer = bench.get(ASSIGNMENT)
    assert {
        "farm_id": bench.daemon.state.farm_id,
        "agent": "rs3",
        "vips": VIPS,
        "tunnels": [{"type": "ipip", "port": 0, "checksum": False}],
        "mtu": None,
        "tunnel_ends": [],
        "epoch": 1,
        "revision": bench.revision,
    } == answer.json()
    assert answer.headers["ETag"]


def test_a_write_that_does_not_bear_on_an_agent_is_no_news_to_it(bench: Bench) -> None:
    """Its assignment has another revision, and the same tag."""
    join(bench)
    tag = bench.get(ASSIGNMENT).headers["ETag"]
    assert bench.patch("/v1/services/dns?wait=10", json={"scheduler": "lc"}).json()["applied"]
    assert 304 == bench.get(ASSIGNMENT, headers={"If-None-Match": tag}).status_code
    answer = bench.get(ASSIGNMENT)
    assert (tag, bench.revision) == (answer.headers["ETag"], answer.json()["revision"])


def test_an_assignment_that_is_known_is_not_sent_again(bench: Bench) -> None:
    """304 without a body, at once where nothing is waited for."""
    join(bench)
    etag = bench.get(ASSIGNMENT).headers["ETag"]
    answer = bench.get(ASSIGNMENT, headers={"If-None-Match": etag})
    assert (304, b"", etag) == (answer.status_code, answer.content, answer.headers["ETag"])


def test_news_ends_the_wait(bench: Bench) -> None:
    """A long poll answers as soon as the assignment is another."""
    join(bench)
    etag = bench.get(ASSIGNMENT).headers["ETag"]
    service = {"vip": "198.51.100.30", "ports": [80], "pool": "web"}
    waited, _ = bench.at_once(
        Request("GET", f"{ASSIGNMENT}?wait=30", {"headers": {"If-None-Match": etag}}),
        Request("PUT", "/v1/services/more", {"json": service}),
    )
    assert (200, [*VIPS, "198.51.100.30"]) == (waited.status_code, waited.json()["vips"])
    assert etag != waited.headers["ETag"]


def test_an_agent_that_is_removed_is_told_so_within_its_wait(bench: Bench) -> None:
    """404, never an assignment without VIPs: the agent keeps what it has and joins again."""
    join(bench)
    etag = bench.get(ASSIGNMENT).headers["ETag"]
    waited, _ = bench.at_once(
        Request("GET", f"{ASSIGNMENT}?wait=30", {"headers": {"If-None-Match": etag}}),
        Request("DELETE", AGENT, {}),
    )
    assert 404 == waited.status_code


def test_before_the_first_cycle_nothing_is_assigned(
    fresh: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, never an assignment without VIPs: the kernel was not looked at yet."""
    monkeypatch.setattr("api.routes.agents.FIRST_WAIT_S", 0.01)
    fresh.put("/v1/farm", json={"services": [], "pools": [{"name": "web"}]})
    join(fresh)
    answer = fresh.get(ASSIGNMENT)
    assert (503, "1") == (answer.status_code, answer.headers["Retry-After"])


def test_a_server_gets_packets_once_it_is_ready(bench: Bench) -> None:
    """And not before."""
    join(bench, query="?wait=10")
    assert None is kernel_weight(bench)
    serve(bench)
    assert 100 == kernel_weight(bench)


def test_a_server_of_an_agent_is_listed_beside_the_declared_ones(bench: Bench) -> None:
    """With its origin, its agent and how long ago that reported."""
    serve(bench)
    bench.clock.advance(12)
    shown = bench.get("/v1/pools/web/real-servers/rs3").json()
    assert ("192.0.2.13", 100) == (shown["address"], shown["weight"])
    assert ("agent", 100) == (shown["status"]["origin"], shown["status"]["weight"])
    assert {"name": "rs3", "membership": "joined", "age": "12s"} == shown["status"]["agent"]
    listed = bench.get("/v1/pools/web/real-servers").json()["real_servers"]
    assert ["rs1", "rs2", "rs3"] == [server["name"] for server in listed]
    assert shown == listed[2]


def test_a_server_that_is_not_ready_says_why(bench: Bench) -> None:
    """It names the agent and what is awaited of it."""
    join(bench)
    status = bench.get("/v1/pools/web/real-servers/rs3").json()["status"]
    assert None is status["weight"]
    assert "rs3 has not yet reported 198.51.100.10" in status["reason"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_server_of_an_agent_is_not_changed_as_if_it_were_declared(
    bench: Bench, method: str
) -> None:
    """409 with what to do instead."""
    serve(bench)
    answer = bench.request(method, "/v1/pools/web/real-servers/rs3", json={"weight": 5})
    assert 409 == answer.status_code
    assert "agent leave" in answer.json()["detail"]
    assert 100 == kernel_weight(bench)


def test_a_server_of_an_agent_can_be_declared(bench: Bench) -> None:
    """It stays what it is, and now the farm says its weight."""
    serve(bench)
    address = "/v1/pools/web/real-servers/rs3"
    read = bench.get(address)
    answer = bench.put(
        f"{address}?wait=10",
        json=read.json() | {"weight": 60},
        headers={"If-Match": read.headers["ETag"]},
    )
    assert 200 == answer.status_code
    assert ("declared", 60) == (
        bench.get(address).json()["status"]["origin"],
        kernel_weight(bench),
    )


def test_an_agent_shows_its_last_report(bench: Bench) -> None:
    """What is ready, what is awaited, what was wrong."""
    join(bench)
    report(bench, VIPS[0], findings=[FINDING])
    bench.clock.advance(90)
    assert {
        "name": "rs3",
        "address": "192.0.2.13",
        "pools": ["web"],
        "weight": 100,
        "membership": "joined",
        "ready": [{"vip": VIPS[0], "tunnel": "ipip"}],
        "awaited": [{"vip": VIPS[1], "tunnel": "ipip"}],
        "accepts": ["ipip"],
        "age": "90s",
        "findings": [{**FINDING, "code": ""}],  # of an older agent
        "connections": 0,
    } == bench.get(AGENT).json()
    (listed,) = bench.get("/v1/agents").json()["agents"]
    assert bench.get(AGENT).json() == listed | {"connections": 0}


def test_an_agent_that_has_not_reported_has_no_age(bench: Bench) -> None:
    """Nobody knows how it is."""
    join(bench)
    assert None is bench.get(AGENT).json()["age"]


def test_leaving_waits_until_the_kernel_has_it(bench: Bench) -> None:
    """First weight 0, then out of the table; then there is nothing to assign."""
    serve(bench)
    answer = join(bench, "leaving", "?wait=10").json()
    assert (True, 0) == (answer["applied"], kernel_weight(bench))
    assert VIPS == bench.get(ASSIGNMENT).json()["vips"]
    answer = join(bench, "left", "?wait=10").json()
    assert (True, None) == (answer["applied"], kernel_weight(bench))
    assert [] == bench.get(ASSIGNMENT).json()["vips"]


@pytest.mark.parametrize("times", [1, 2])
def test_leaving_is_not_confirmed_while_the_kernel_is_only_watched(
    bench: Bench, times: int
) -> None:
    """However often it is asked: the agent must undo nothing."""
    serve(bench)
    bench.put("/v1/mode", json={"mode": "observe", "reason": "switch work"})
    for _ in range(times):
        answer = join(bench, "leaving", "?wait=0.3").json()
        assert not answer["applied"]
        assert "switch work" in answer["reason"]
    assert 100 == kernel_weight(bench)


def test_a_removed_agent_is_forgotten(bench: Bench) -> None:
    """With the server that it brought."""
    serve(bench)
    answer = bench.delete(f"{AGENT}?wait=10")
    assert (200, True) == (answer.status_code, answer.json()["applied"])
    assert None is kernel_weight(bench)
    for gone in (AGENT, ASSIGNMENT):
        assert 404 == bench.get(gone).status_code
    assert 404 == report(bench).status_code


def test_an_agent_that_joins_again_after_it_was_removed_is_another(bench: Bench) -> None:
    """Nothing of its last report is left: not its age, its findings, its metrics."""
    serve(bench)
    report(bench, *VIPS, findings=[FINDING])
    bench.delete(AGENT)
    join(bench)
    shown = bench.get(AGENT).json()
    assert (None, []) == (shown["age"], shown["findings"])
    assert "last_report_timestamp" not in "".join(
        line for line in bench.get("/metrics").text.splitlines() if 'agent="rs3"' in line
    )


@pytest.mark.parametrize(
    ("more", "pointer", "allowed"),
    [
        ({"findings": [FINDING] * 51}, "/findings", "up to 50"),
        ({"findings": [FINDING, {**FINDING, "detail": "x" * 1001}]}, "/findings/1/detail", "1000"),
        ({"findings": [{**FINDING, "subject": "x" * 201}]}, "/findings/0/subject", "up to 200"),
        ({"tunnels": [{"type": "ipip"}] * 101}, "/tunnels", "up to 100"),
        ({"tunnels": [{"type": "x" * 41}]}, "/tunnels/0/type", "up to 40"),
        ({"farm_id": "x" * 101}, "/farm_id", "up to 100"),
    ],
)
def test_a_report_that_says_too_much_is_refused(
    bench: Bench, more: dict[str, object], pointer: str, allowed: str
) -> None:
    """With the limit; what was there before stays."""
    join(bench)
    answer = report(bench, **more)
    (error,) = answer.json()["errors"]
    assert (422, pointer) == (answer.status_code, error["pointer"])
    assert allowed in error["allowed"]
    assert None is bench.get(AGENT).json()["age"]


def test_a_report_of_megabytes_is_refused_before_it_is_read(bench: Bench) -> None:
    """With the limit in bytes."""
    join(bench)
    answer = report(bench, findings=[{**FINDING, "more": "x" * 600_000}])
    assert 413 == answer.status_code
    assert "524288 bytes" in answer.json()["detail"]


def test_many_new_findings_are_few_events(bench: Bench) -> None:
    """The first ones, and how many there are."""
    join(bench)
    report(bench, findings=[{**FINDING, "subject": f"link {n}"} for n in range(30)])
    bench.portal.call(bench.daemon.events.flush)
    found = [each.event for each in bench.daemon.events.after(0)]
    told = [each.detail for each in found if each.kind is EventKind.AGENT_FINDING]
    assert 6 == len(told)
    assert "25 more new findings; lvsctl agent show rs3 has all" == told[-1]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"ready": [], "tunnels": []}, "/farm_id"),
        ({"farm_id": "", "ready": ["x"], "tunnels": []}, "/ready/0"),
        ({"farm_id": "", "ready": [], "tunnels": ["ipip"]}, "/tunnels/0"),
        ({"farm_id": 1, "ready": [], "tunnels": []}, "/farm_id"),
        (
            {"farm_id": "", "ready": [], "tunnels": [], "findings": [{"severity": "bad"}]},
            "/findings/0/severity",
        ),
        ([], ""),
    ],
)
def test_a_report_that_is_none_is_refused(bench: Bench, body: object, pointer: str) -> None:
    """With where it is wrong; it is no sign of life."""
    join(bench)
    answer = bench.put(f"{AGENT}/report", json=body)
    assert 422 == answer.status_code
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert None is bench.get(AGENT).json()["age"]
