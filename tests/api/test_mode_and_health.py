"""Pausing and resuming; whether the director lives and does its work."""

from datetime import timedelta

import pytest

from lvsctl.director.access.credentials import SHARED
from lvsctl.errors import KernelError, StoreError
from tests.api.bench import EXAMPLE, START, Bench
from tests.api.command_line import Run


def test_a_director_enforces_where_nobody_said_otherwise(bench: Bench) -> None:
    """It has no end and nobody set it."""
    assert {"mode": "enforce", "reason": "", "until": None, "by": ""} == bench.get(
        "/v1/mode"
    ).json()


def test_a_paused_director_keeps_its_hands_off_the_kernel(bench: Bench) -> None:
    """It says who paused it, why and until when; writes are stored and wait."""
    answer = bench.put("/v1/mode", json={"mode": "observe", "for": "30m", "reason": "switch work"})
    paused = {
        "mode": "observe",
        "reason": "switch work",
        "until": "2026-01-01T00:30:00Z",
        "by": SHARED,
    }
    assert (200, paused) == (answer.status_code, answer.json())
    assert paused == bench.get("/v1/mode").json()

    before = bench.kernel.table()
    written = bench.delete("/v1/services/web?wait=0.3").json()
    assert not written["applied"]
    assert "switch work" in written["reason"]
    assert before == bench.kernel.table()


def test_a_resumed_director_does_what_has_waited(bench: Bench) -> None:
    """At once; who waits for another service does not wait for that."""
    bench.put("/v1/mode", json={"mode": "observe"})
    bench.delete("/v1/services/web")
    assert "enforce" == bench.put("/v1/mode", json={"mode": "enforce"}).json()["mode"]
    assert bench.patch("/v1/services/dns?wait=10", json={"scheduler": "lc"}).json()["applied"]
    remaining = {"fwmark 7", "udp 198.51.100.53:53"}

    def is_done() -> bool:
        return remaining == {str(key) for key in bench.kernel.table()}

    bench.portal.call(bench.daemon.loop.wait_until, is_done, 10)
    assert is_done()


def test_a_director_that_answers_is_up(fresh: Bench) -> None:
    """It says which one it is."""
    answer = fresh.get("/healthz")
    assert (200, {"status": "up", "director": "lb1"}) == (answer.status_code, answer.json())


def test_a_director_is_ready_after_its_first_cycle(fresh: Bench) -> None:
    """Not before."""
    answer = fresh.get("/readyz")
    assert (503, False) == (answer.status_code, answer.json()["ready"])
    assert {"cycle": "the first cycle has not ended yet"} == details(answer.json())
    with fresh.running():
        answer = fresh.get("/readyz")
        assert (200, True) == (answer.status_code, answer.json()["ready"])


def test_a_director_without_a_kernel_is_not_ready(fresh: Bench) -> None:
    """It says what the kernel lacks."""
    fresh.ipvs.broken = KernelError("ip_vs is not loaded: modprobe ip_vs")
    fresh.portal.call(fresh.daemon.loop.run_cycle)
    answer = fresh.get("/readyz")
    assert 503 == answer.status_code
    assert {"kernel": "ip_vs is not loaded: modprobe ip_vs"} == details(answer.json())


def test_a_director_whose_cycles_have_stopped_is_not_ready(fresh: Bench) -> None:
    """It says for how long."""
    fresh.portal.call(fresh.daemon.loop.run_cycle)
    fresh.clock.advance(30)
    assert 200 == fresh.get("/readyz").status_code
    fresh.clock.advance(1)
    answer = fresh.get("/readyz")
    assert 503 == answer.status_code
    assert "31 s ago" in details(answer.json())["cycle"]


@pytest.mark.parametrize("by", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_clock_that_is_set_hides_and_invents_nothing(fresh: Bench, by: timedelta) -> None:
    """Neither cycles that stopped, nor how long ago an agent reported; deadlines move along."""
    fresh.put("/v1/farm", json=EXAMPLE)
    fresh.put("/v1/agents/rs3", json={"address": "192.0.2.13", "pools": ["web"]})
    fresh.put("/v1/agents/rs3/report", json={"farm_id": "x", "ready": [], "tunnels": []})
    override = {"state": "draining", "deadline_in": "10m"}
    fresh.put("/v1/pools/web/real-servers/rs1/override", json=override)
    fresh.portal.call(fresh.daemon.loop.run_cycle)
    fresh.clock.advance(12)
    fresh.clock.set(by)
    assert {} == details(fresh.get("/readyz").json())
    agents = {each["name"]: each["age"] for each in fresh.get("/v1/agents").json()["agents"]}
    assert {"rs3": "12s"} == agents
    drain = fresh.get("/v1/pools/web/real-servers/rs1").json()["status"]["drain"]
    assert f"{START + timedelta(minutes=10) + by:%Y-%m-%dT%H:%M:%SZ}" == drain["deadline"]
    assert not drain["overdue"]
    fresh.clock.advance(31)
    assert "43 s ago" in details(fresh.get("/readyz").json())["cycle"]


@pytest.mark.parametrize("what", ["disk", "store"])
def test_a_director_that_cannot_write_is_not_ready_and_goes_on(bench: Bench, what: str) -> None:
    """It says why, the VIPs stay where they are, and it is ready again by itself."""
    full = "farm.db: disk full; nothing was stored; free some space there"
    before = bench.kernel.table()
    if what == "disk":
        bench.disk[0] = full
        bench.check_itself()
    else:
        bench.store.broken = StoreError(full)
        answer = bench.patch("/v1/services/web", json={"scheduler": "lc"})
        assert (503, full) == (answer.status_code, answer.json()["detail"])
    answer = bench.get("/readyz")
    assert (503, {what: "farm.db: disk full"}) == (answer.status_code, details(answer.json()))
    code = {"disk": "recorded", "store": "store-failed"}[what]
    problem = {"name": what, "detail": full, "code": code, "ok": False}
    assert {"problems": [problem]} == bench.get("/v1/problems").json()
    bench.portal.call(bench.daemon.loop.run_cycle)
    assert (before, {}) == (bench.kernel.table(), bench.daemon.loop.view.vips)

    bench.disk[0], bench.store.broken = "", None
    bench.check_itself()
    assert (200, {}) == ((answer := bench.get("/readyz")).status_code, details(answer.json()))
    assert {"problems": []} == bench.get("/v1/problems").json()


def test_the_status_names_what_is_wrong_with_the_director(bench: Bench, run: Run) -> None:
    """On the command line, first of all."""
    bench.disk[0] = "/var/lib/lvsctl: 0 KiB are free"
    bench.check_itself()
    assert "director: disk: /var/lib/lvsctl: 0 KiB are free" in run("status").output


def details(readiness: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Return the detail of each check that has one."""
    return {check["name"]: check["detail"] for check in readiness["checks"] if check["detail"]}
