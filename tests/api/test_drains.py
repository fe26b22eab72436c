"""Draining with a deadline, over REST and from the command line."""

import json

import pytest

from lvsctl.cli import draining, server
from lvsctl.director.access.credentials import SHARED
from tests.api.bench import Bench
from tests.api.command_line import Run

SERVER = "/v1/pools/web/real-servers/rs1"
OVERRIDE = f"{SERVER}/override"
AT_80 = "192.0.2.11:80"


def look(bench: Bench) -> None:
    """Let the director follow its drains now."""
    bench.portal.call(bench.daemon.drains.look)


def test_a_deadline_is_an_absolute_time(bench: Bench) -> None:
    """Asked for from now on, it is shown in UTC; what is shown can be put back."""
    answer = bench.put(OVERRIDE, json={"state": "draining", "deadline_in": "60s"})
    assert 201 == answer.status_code
    shown = bench.get(OVERRIDE).json()
    assert ("2026-01-01T00:01:00Z", "cut") == (shown["deadline"], shown["at_deadline"])
    bench.clock.advance(30)
    assert 200 == bench.put(OVERRIDE, json=shown).status_code
    assert "2026-01-01T00:01:00Z" == bench.get(OVERRIDE).json()["deadline"]


def test_a_deadline_is_kept_to_the_second(bench: Bench) -> None:
    """It is never earlier than was asked for."""
    bench.clock.advance(0.4)
    bench.put(OVERRIDE, json={"state": "draining", "deadline_in": "60s"})
    assert "2026-01-01T00:01:01Z" == bench.get(OVERRIDE).json()["deadline"]


def test_a_deadline_of_kept_connections_can_be_put_back_when_it_is_over(bench: Bench) -> None:
    """It says that they were kept."""
    body = {"state": "draining", "deadline_in": "60s", "at_deadline": "keep"}
    bench.put(OVERRIDE, json=body)
    bench.clock.advance(90)
    shown = bench.get(OVERRIDE).json()
    assert 200 == bench.put(OVERRIDE, json=shown).status_code


def test_a_drain_shows_how_far_it_has_come(bench: Bench) -> None:
    """Connections, when they are gone if it goes on so, and until when they may stay."""
    bench.ipvs.connections = {AT_80: 17}
    bench.put(OVERRIDE, json={"state": "draining", "deadline_in": "60s", "reason": "disk"})
    look(bench)
    status = bench.get(SERVER).json()["status"]
    assert {
        "since": "2026-01-01T00:00:00Z",
        "deadline": "2026-01-01T00:01:00Z",
        "at_deadline": "cut",
        "overdue": False,
        "connections": 17,
        "gone_in": None,
        "warnings": [],
    } == status["drain"]
    assert (
        "draining until 2026-01-01T00:01:00Z, remaining connections are then cut: disk"
        == status["reason"]
    )
    bench.delete(OVERRIDE)
    assert None is bench.get(SERVER).json()["status"]["drain"]


def test_at_the_deadline_the_server_is_out(bench: Bench) -> None:
    """It is disabled, with the reason of its drain, by who drained it."""
    bench.put(OVERRIDE, json={"state": "draining", "deadline_in": "60s", "reason": "disk"})
    bench.clock.advance(60)
    look(bench)
    shown = bench.get(OVERRIDE).json()
    assert {
        "state": "disabled",
        "reason": "its drain is over: disk",
        "by": SHARED,
        "since": "2026-01-01T00:01:00Z",
    } == shown


@pytest.mark.parametrize("body", [{"state": "draining"}, {"state": "disabled"}, {"weight": 0}])
def test_the_last_server_needs_force(bench: Bench, body: dict[str, object]) -> None:
    """Without it nothing is stored and the answer says what would happen."""
    bench.put("/v1/pools/web/real-servers/rs2/override", json={"state": "disabled"})
    before = bench.revision
    refused = bench.put(OVERRIDE, json=body)
    assert 409 == refused.status_code
    problem = refused.json()
    assert "last server that takes connections of web, marked" in problem["detail"]
    assert any("192.0.2.11:80" in operation for operation in problem["plan"])
    assert before == bench.revision
    assert 201 == bench.put(f"{OVERRIDE}?force=true", json=body).status_code


# --- the command line -----------------------------------------------------------------------


def test_a_drain_with_a_deadline(run: Run, bench: Bench) -> None:
    """It is cut unless it is to be kept; draining again without one takes it away."""
    run("server", "drain", "rs1", "--deadline", "60s")
    assert "cut" == bench.get(OVERRIDE).json()["at_deadline"]
    run("server", "drain", "rs1", "--deadline", "5m", "--keep")
    shown = bench.get(OVERRIDE).json()
    assert ("keep", "2026-01-01T00:05:00Z") == (shown["at_deadline"], shown["deadline"])
    assert "gone in:" in run("server", "show", "rs1").stdout
    run("server", "drain", "rs1")
    assert "deadline" not in bench.get(OVERRIDE).json()
    assert "--deadline" in run("server", "drain", "rs1", "--cut", status=2).stderr
    wrong = run("server", "drain", "rs1", "--deadline", "soon", status=2)
    assert "is not a duration" in wrong.stderr


def test_the_last_server_is_drained_by_force(run: Run, bench: Bench) -> None:
    """The refusal says how to do it all the same."""
    run("server", "set", "rs2", "--state", "disabled")
    refused = run("server", "drain", "rs1", status=1).stderr
    assert "to do it anyway, use --force" in refused
    assert 404 == bench.get(OVERRIDE).status_code
    run("server", "drain", "rs1", "--force")
    run("server", "undrain", "rs1")
    assert "--force" in run("server", "set", "rs1", "--weight", "0", status=1).stderr
    run("server", "set", "rs1", "--weight", "0", "--force")
    assert 0 == bench.get(OVERRIDE).json()["weight"]


def pass_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *connections: int, seconds: int = 1
) -> None:
    """Let time pass on the clocks and not in the world while the command waits.

    Args:
        bench: The director.
        monkeypatch: Takes the command's sleep away.
        connections: Of rs1 after each sleep; the last stays.
        seconds: How long each sleep is for the director.
    """
    left = list(connections)

    def sleep(_: float) -> None:
        bench.clock.advance(seconds)
        bench.ipvs.connections[AT_80] = left.pop(0) if len(left) > 1 else left[0]
        look(bench)

    monkeypatch.setattr(draining.time, "sleep", sleep)


def test_waiting_counts_the_connections_down(
    run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until none is left, twice: one may have been opening when the weight became 0."""
    bench.ipvs.connections[AT_80] = 3
    pass_time(bench, monkeypatch, 3, 1, 0, 1, 0, 0, 7)
    said = run("server", "drain", "rs1", "--wait")
    assert "web/rs1: drained, no connections remain\n" == said.stdout
    lines = [line.split(",")[0] for line in said.stderr.splitlines()]
    counted = [line for line in lines if line.endswith("connections")]
    assert ["3", "1", "0", "1", "0"] == [line.split()[1] for line in counted][-5:]
    assert 7 != bench.ipvs.connections[AT_80]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--cut", "web/rs1: disabled: its drain is over\n"),
        ("--keep", "web/rs1: the deadline has passed, 5 connections continue\n"),
    ],
)
def test_waiting_ends_at_the_deadline(
    run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch, option: str, expected: str
) -> None:
    """It says what became of what was left."""
    pass_time(bench, monkeypatch, 5, seconds=7)
    said = run("server", "drain", "rs1", "--deadline", "20s", option, "--wait")
    assert expected == said.stdout
    assert "until 2026-01-01T00:00:20Z" in said.stderr


def test_waiting_as_json(run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """How each pool's drain ended, on the standard output alone."""
    pass_time(bench, monkeypatch, 0)
    (shown,) = json.loads(run("server", "drain", "rs1", "--wait", "-o", "json").stdout)[
        "real_servers"
    ]
    assert ("web", "rs1", 0) == (shown["pool"], shown["name"], shown["drain"]["connections"])


def test_somebody_else_undrains_meanwhile(
    run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends and says so."""
    bench.ipvs.connections[AT_80] = 3
    monkeypatch.setattr(draining.time, "sleep", lambda _: bench.delete(OVERRIDE))
    said = run("server", "drain", "rs1", "--wait")
    assert "web/rs1: enabled, the drain was ended\n" == said.stdout


def test_a_paused_director_does_not_drain(
    run: Run, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait does not pretend that it does."""
    monkeypatch.setattr(server, "APPLIED_WITHIN_S", 0.1)
    bench.put("/v1/mode", json={"mode": "observe", "reason": "switch work"})
    said = run("server", "drain", "rs1", "--wait", status=1)
    assert "not yet drained in the kernel" in said.stderr
    assert "switch work" in said.stderr
