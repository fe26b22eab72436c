"""Health checks over REST: what they say of servers, and what follows for services."""

import re
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from tests.api.bench import Bench
from tests.api.command_line import Run
from tests.unit.director.checked import BROKEN

CHECK = {
    "type": "http",
    "port": 80,
    "through": "direct",
    "interval": "100ms",
    "fast_interval": "100ms",
    "rise": 1,
    "fall": 1,
    "jitter": 0,
}
RS1, RS2 = ip_address("192.0.2.11"), ip_address("192.0.2.12")
WITHIN_S = 10.0


def poll(read: Callable[[], Any], until: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - any
    """Read until it is as expected; the daemon runs in another thread."""
    deadline = time.monotonic() + WITHIN_S
    while not until(found := read()):
        assert time.monotonic() < deadline, found
    return found


@pytest.fixture
def checked(bench: Bench) -> Bench:
    """The example farm, whose pool web is checked: every server is found healthy."""
    bench.patch("/v1/pools/web?wait=10", json={"health_checks": [CHECK]})
    poll(lambda: healths(bench), until=lambda found: found == {"rs1": "up", "rs2": "up"})
    poll(lambda: last(bench, "rs1"), until=bool)
    return bench


def healths(bench: Bench) -> dict[str, str]:
    servers = bench.get("/v1/pools/web").json()["status"]["real_servers"]
    return {server["name"]: server["health"] for server in servers}


def server(bench: Bench, name: str) -> Any:  # noqa: ANN401 - a JSON object
    return bench.get(f"/v1/pools/web/real-servers/{name}").json()["status"]


def last(bench: Bench, name: str) -> Any:  # noqa: ANN401 - a JSON object
    return server(bench, name)["health"][0]["checks"][0]["last"]


def service(bench: Bench) -> Any:  # noqa: ANN401 - a JSON object
    return bench.get("/v1/services/web").json()["status"]


def weights(bench: Bench) -> dict[str, int | None]:
    return {each["server"]: each["weight"] for each in service(bench)["destinations"]}


def test_a_pool_without_checks_says_nothing_of_health(bench: Bench) -> None:
    """Its servers serve as they are declared."""
    assert {"rs1": None, "rs2": None} == healths(bench)
    assert [] == server(bench, "rs1")["health"]


def test_what_served_before_it_was_checked_serves_on(checked: Bench) -> None:
    """Nothing was ever removed from the kernel."""
    assert {"rs1": 100, "rs2": 50} == weights(checked)
    status = server(checked, "rs1")["health"]
    assert ["198.51.100.10", "198.51.100.20"] == [each["vip"] for each in status]
    (check,) = status[0]["checks"]
    assert ("http", 80, "direct", "up", None) == tuple(
        check[field] for field in ("type", "port", "through", "health", "frozen")
    )
    assert check["last"]["passed"]


def test_a_server_that_fails_is_out_and_says_why(checked: Bench) -> None:
    """And is back when it passes again."""
    checked.servers.direct[RS2] = BROKEN
    poll(lambda: weights(checked), until=lambda found: found == {"rs1": 100, "rs2": None})
    status = server(checked, "rs2")
    assert "down: status 500" in status["reason"]
    assert "status 500" == status["health"][0]["checks"][0]["last"]["error"]
    assert 1 == service(checked)["health"]["healthy"]
    kinds = [each.event.kind for each in checked.daemon.events.after(0)]
    assert "server-down" in kinds
    del checked.servers.direct[RS2]
    poll(lambda: weights(checked), until=lambda found: found == {"rs1": 100, "rs2": 50})


def test_all_that_fail_at_once_serve_on(checked: Bench) -> None:
    """Panic is shown, told and measured."""
    for address in (RS1, RS2):
        checked.servers.direct[address] = BROKEN
    found = poll(lambda: service(checked), until=lambda found: bool(found["health"]["panic"]))
    assert "none of 2 servers is healthy" in found["health"]["panic"]
    assert {"rs1": 100, "rs2": 50} == weights(checked)
    text = checked.get("/metrics").text
    assert 'lvsctl_service_panic{service="web"} 1.0' in text
    assert 'lvsctl_real_server_healthy{pool="web",server="rs1",vip="198.51.100.10"} 0.0' in text
    assert 'lvsctl_probe_duration_seconds_bucket{check="http",le="0.025",pool="web",' in text


def test_the_last_healthy_server_is_not_drained_without_force(checked: Bench) -> None:
    """The other one is down, so it would be the last."""
    checked.servers.direct[RS2] = BROKEN
    poll(lambda: weights(checked), until=lambda found: found["rs2"] is None)
    path = "/v1/pools/web/real-servers/rs1/override"
    assert 409 == checked.put(path, json={"state": "disabled"}).status_code
    assert 200 <= checked.put(f"{path}?force=true", json={"state": "disabled"}).status_code < 300


def test_a_sorry_server_takes_over_and_gives_back(checked: Bench) -> None:
    """Instead of a panic."""
    checked.patch("/v1/services/web?wait=10", json={"sorry_server": "192.0.2.99"})
    for address in (RS1, RS2):
        checked.servers.direct[address] = BROKEN
    poll(lambda: service(checked), until=lambda found: found["health"]["sorry"])
    table = checked.get("/v1/table").json()["services"]
    web = [each for each in table if each["service"] == "web"]
    assert [["192.0.2.99"]] * 2 == [[d["address"] for d in each["destinations"]] for each in web]
    checked.servers.direct.clear()
    poll(lambda: service(checked), until=lambda found: not found["health"]["sorry"])
    poll(lambda: weights(checked), until=lambda found: found == {"rs1": 100, "rs2": 50})


def test_the_command_line_shows_what_the_checks_say(checked: Bench, run: Run) -> None:
    """In the lists in a word, of one server each check with its last probe."""
    checked.servers.direct[RS2] = BROKEN
    poll(lambda: healths(checked), until=lambda found: found["rs2"] == "down")
    listed = {line.split()[1]: line for line in run("server", "list").stdout.splitlines()}
    assert " up " in listed["rs1"]
    assert "down: status 500" in listed["rs2"]
    shown = run("server", "show", "rs2", "--pool", "web").stdout
    assert re.search(r"198.51.100.10 +http:80 +direct +down +\S+Z +failed in 10.0 ms", shown)
    checked.servers.direct[RS1] = BROKEN
    poll(lambda: service(checked), until=lambda found: bool(found["health"]["panic"]))
    assert "none of 2 servers is healthy" in run("service", "show", "web").stdout
    status = run("status").stdout
    assert "health:   4 down" in status
    assert "service web: panic: none of 2 servers is healthy" in status
    assert "real server rs2 of service web: panic" in status
