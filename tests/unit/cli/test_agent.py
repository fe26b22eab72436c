"""The commands on a real server: what its agent knows, and the way out."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner

from lvsctl.agent.assignments import Assignments
from lvsctl.agent.config import AgentConfig
from lvsctl.agent.state_dir import Contact, StateDir, StatusSnapshot
from lvsctl.cli.main import lvsctl
from lvsctl.messages.model import Assignment, Finding, Registration, Report, Severity, Tunnel

VIP = IPv4Address("198.51.100.10")
RIP = IPv4Address("192.0.2.11")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Return the state folder of an agent that does not run."""
    state = StateDir(tmp_path)
    state.save_config(AgentConfig(("http://lb1:8080",), ("web",), "rs1", RIP, state_dir=tmp_path))
    state.save_assignments(Assignments((Assignment("farm", "rs1", (VIP,), (Tunnel("ipip"),)),)))
    finding = Finding(Severity.REPAIRED, "tunl0", "it was down", "", "2026-01-02T00:00:00Z")
    state.save_status(
        StatusSnapshot(
            "rs1",
            Registration(RIP, ("web",)),
            Report("farm", (VIP,), (Tunnel("ipip"),), (finding,)),
            Contact("http://lb1:8080", "2026-01-02T00:00:05Z", "timed out"),
        )
    )
    return tmp_path


def test_the_status_shows_what_the_agent_knows(state_dir: Path) -> None:
    """Also when it does not run."""
    result = CliRunner().invoke(lvsctl, ["agent", "status", "--state-dir", str(state_dir)])
    assert result.stdout.splitlines() == [
        "name:        rs1",
        "running:     no",
        "address:     192.0.2.11",
        "pools:       web",
        "membership:  joined",
        "director:    http://lb1:8080",
        "last answer: 2026-01-02T00:00:05Z",
        "problem:     timed out",
        "VIPs:        198.51.100.10",
        "ready:       198.51.100.10",
        "",
        "AT                    SEVERITY  SUBJECT  DETAIL       CURE",
        "2026-01-02T00:00:00Z  repaired  tunl0    it was down",
    ]


def test_the_status_is_a_document_for_programs(state_dir: Path) -> None:
    """With the messages as they are sent."""
    result = CliRunner().invoke(
        lvsctl, ["agent", "status", "--state-dir", str(state_dir), "-o", "json"]
    )
    document = json.loads(result.stdout)
    assert (False, None, False) == (
        document["running"],
        document["process"],
        document["leaving"],
    )
    assert ["198.51.100.10"] == document["report"]["ready"]
    assert "192.0.2.11" == document["registration"]["address"]
    assert "timed out" == document["director"]["problem"]


@pytest.mark.parametrize(("left", "status"), [(0, 0), (1, 1)])
def test_a_leave_passes_on_what_happens(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, left: int, status: int
) -> None:
    """Every line that the agent says, and how it ended."""
    asked: list[tuple[str, float, bool]] = []

    def leave(
        config: AgentConfig, deadline_s: float, *, force: bool, say: Callable[[str], None]
    ) -> int:
        asked.append((config.name, deadline_s, force))
        say("2 connections are open")
        return left

    monkeypatch.setattr("lvsctl.agent.main.leave", leave)
    arguments = ["agent", "leave", "--state-dir", str(state_dir), "--deadline", "2m", "--force"]
    result = CliRunner().invoke(lvsctl, arguments)
    assert (status, "2 connections are open\n") == (result.exit_code, result.stdout)
    assert [("rs1", 120, True)] == asked


def test_who_never_joined_cannot_leave(tmp_path: Path) -> None:
    """The message names the folder."""
    result = CliRunner().invoke(lvsctl, ["agent", "leave", "--state-dir", str(tmp_path)])
    assert (1, f"lvsctl: no agent has run with --state-dir {tmp_path}\n") == (
        result.exit_code,
        result.stderr,
    )
